//! How the program ends: the exit codes, and which error ends with which.

use std::io;
use std::process::ExitCode;

use crate::cli::datagram_keys::KeysError;
use crate::cli::demo::DemoError;
use crate::daemon::config_file::ConfigError;
use crate::daemon::control_client::ClientError;
use crate::daemon::control_message::{ErrorKind, ErrorReply};
use crate::daemon::control_socket::SocketError;
use crate::daemon::key_file::KeyFileError;
use crate::daemon::private_file::WriteError;
use crate::daemon::start::StartError as LoadError;
use crate::daemon::state_dir::StateDirError;
use crate::daemon::state_file::StateFileError;
use crate::driver::clock::NoEntropy;
use crate::driver::error::{RunError, StartError};
use crate::driver::handle::{RequestError, Stopped};

/// The exit codes. Scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// What was asked for is done.
    Done,
    /// It failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// There is no such peer, or no address of it is known.
    Unknown,
    /// No node runs here.
    NotRunning,
    /// It took too long.
    TimedOut,
    /// The cluster refused.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unknown => 3,
            Exit::NotRunning => 4,
            Exit::TimedOut => 5,
            Exit::Refused => 6,
        })
    }
}

/// Why a command ends early.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: Option<String>,
}

impl Failure {
    /// A failure with one line that says what is wrong and what to do. It is shown with its commands
    /// [addressed](crate::cli::args::Global::addressed).
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()) }
    }

    /// What to tell; `None` if nobody wants to know.
    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// With which code to end.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }
}

/// Only writing to standard output gives a bare `io::Error` here. Whoever closed the other end has seen enough.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Done, message: None };
        }
        Self::new(Exit::Failed, format!("cannot write to standard output: {error}"))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Socket(SocketError::NotRunning { .. }) | ClientError::Ended { .. } => Exit::NotRunning,
            ClientError::TimedOut => Exit::TimedOut,
            ClientError::Refused(ErrorReply { kind, .. }) => match kind {
                ErrorKind::Stopping => Exit::NotRunning,
                ErrorKind::Refused => Exit::Refused,
                ErrorKind::UnknownPeer => Exit::Unknown,
                ErrorKind::BadRequest
                | ErrorKind::Schema
                | ErrorKind::UnknownCommand
                | ErrorKind::TooLong
                | ErrorKind::Busy
                | ErrorKind::NotStored => Exit::Failed,
            },
            ClientError::Socket(_) | ClientError::Io(_) | ClientError::Schema(_) | ClientError::Garbled(_) => {
                Exit::Failed
            }
        };
        Self::new(exit, error.to_string())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let exit = if matches!(error, LoadError::Removed { .. }) { Exit::Refused } else { Exit::Failed };
        Self::new(exit, error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let exit = if matches!(error, RequestError::Refused(_)) { Exit::Refused } else { Exit::Failed };
        Self::new(exit, error.to_string())
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

/// Errors that all end with [`Exit::Failed`] and their own words.
macro_rules! failed {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Exit::Failed, error.to_string())
            }
        })+
    };
}

failed!(
    ConfigError,
    KeyFileError,
    KeysError,
    NoEntropy,
    RunError,
    SocketError,
    StartError,
    StateDirError,
    StateFileError,
    Stopped,
    WriteError,
);
