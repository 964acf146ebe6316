//! A command's end of the control socket.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use crate::daemon::control_message::{ErrorReply, Reply, ReplyLine, Request, SCHEMA};
use crate::daemon::control_socket::{self, SocketError};
use crate::daemon::state_dir::StateDir;

/// How long a node may take to answer: it needs milliseconds, unless the machine is very busy or the node is stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the running node.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<Stream>,
    dir: PathBuf,
}

impl Client {
    /// Connects to the node that runs on this state directory.
    ///
    /// # Errors
    /// None runs, or it cannot be reached.
    pub(crate) async fn connect(dir: &StateDir) -> Result<Self, ClientError> {
        let stream = control_socket::connect(dir).await?;
        Ok(Self { stream: BufReader::new(stream), dir: dir.path().into() })
    }

    /// Asks, and waits for the first answer.
    ///
    /// # Errors
    /// The node refused, gave no answer, or one that is none.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let exchange = async {
            let written = self.stream.write_all(request.to_line().as_bytes()).await;
            // A node that turns a client away says why before it closes, so there may be an answer all the same.
            match (self.next().await, written) {
                (Err(ClientError::Ended { .. } | ClientError::Io(_)), Err(error)) => Err(self.lost(error)),
                (answer, _) => answer,
            }
        };
        timeout(PATIENCE, exchange).await.map_err(|_| ClientError::TimedOut)?
    }

    /// Waits for another answer, for as long as it takes.
    ///
    /// # Errors
    /// The node refused, has stopped, or gave an answer that is none.
    pub(crate) async fn next(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await;
        if read.map_err(|error| self.lost(error))? == 0 {
            return Err(ClientError::Ended { dir: self.dir.clone() });
        }
        match parse(&line)? {
            Reply::Error(refused) => Err(ClientError::Refused(refused)),
            reply @ (Reply::Status(_)
            | Reply::Invite(_)
            | Reply::Sought
            | Reply::Forgotten
            | Reply::Left(_)
            | Reply::Following
            | Reply::Event(_)
            | Reply::Missed(_)) => Ok(reply),
        }
    }

    /// The connection broke. A node that ends leaves what it has not read, which systems report as an error.
    fn lost(&self, error: io::Error) -> ClientError {
        if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) {
            ClientError::Ended { dir: self.dir.clone() }
        } else {
            ClientError::Io(error)
        }
    }
}

/// Why a node gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// There is no connection.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The connection broke.
    #[error("lost the connection to the node: {0}")]
    Io(io::Error),
    /// The node closed the connection.
    #[error("the node on {} has stopped", dir.display())]
    Ended { dir: PathBuf },
    /// It takes too long.
    #[error("the node did not answer in 10 s: it is stopped, or the machine is very busy")]
    TimedOut,
    /// The answer is of another version.
    #[error("the running node speaks {0}, this dddns {SCHEMA}: restart the node after an update")]
    Schema(String),
    /// The answer is no answer.
    #[error("the running node gave an answer that makes no sense ({0}): restart the node after an update")]
    Garbled(serde_json::Error),
    /// The node said no.
    #[error("{}", .0.message)]
    Refused(ErrorReply),
}

#[derive(Deserialize)]
struct Probe {
    schema: String,
}

fn parse(line: &[u8]) -> Result<Reply, ClientError> {
    let probe: Probe = serde_json::from_slice(line).map_err(ClientError::Garbled)?;
    if probe.schema != SCHEMA {
        return Err(ClientError::Schema(probe.schema));
    }
    let line: ReplyLine = serde_json::from_slice(line).map_err(ClientError::Garbled)?;
    Ok(line.reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::control_message::StatusReply;
    use crate::daemon::status_report::{self, StatusReport, TableHints};

    #[test]
    fn replies_are_read_back_as_they_were_written() {
        let status = status_report::tests::status();
        let status = || StatusReply {
            report: StatusReport::new(&status, &["[::]:7733".parse().unwrap()]),
            hints: TableHints::new(&status),
        };
        for reply in [|| Reply::Following, || Reply::Missed(7)] {
            assert_eq!(parse(reply().into_line().as_bytes()).unwrap(), reply());
        }
        let line = Reply::Status(Box::new(status())).into_line();
        assert_eq!(parse(line.as_bytes()).unwrap(), Reply::Status(Box::new(status())));
    }

    #[test]
    fn answers_of_other_versions_say_so() {
        assert!(matches!(parse(br#"{"schema":"dddns.control/9","x":1}"#), Err(ClientError::Schema(_))));
        assert!(matches!(parse(b"hello"), Err(ClientError::Garbled(_))));
    }
}
