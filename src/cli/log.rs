//! The log, on standard error. A thread of its own writes it: whoever does not read it must not hold up the node.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing::dispatcher;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::args::{Global, LogFormat};
use crate::driver::clock;

/// How many bytes of lines may wait for the writer, which may hold as many once more. At the most talkative level that is
/// some two thousand lines: more than a burst of datagrams makes until a machine's only core comes to write them.
const WAITING_MAX: usize = 256 << 10;

/// How long the end of the program waits for the next line to be written: longer waits would only serve those who do not
/// read, or hardly.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the end of the program waits in all: what a slow reader has left until then is lost.
const PATIENCE_IN_ALL: Duration = Duration::from_secs(5);

/// How soon a log is tried again that takes nothing now, and lets nobody wait until it does.
const AGAIN: Duration = Duration::from_millis(5);

/// What waits to be written, once logging has started.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Starts logging, at the level that is usual for the command unless the command line says otherwise. Logging never
/// waits: lines that find no room are counted, and the log says how many they were as soon as it can.
pub(super) fn start(global: &Global, usual: LevelFilter) {
    let look = Look { format: global.log_format(), color: global.log_color() };
    let level = global.log_level(usual);
    let queue = Arc::new(Queue::default());
    let served = Arc::clone(&queue);
    let dispatch = match thread::Builder::new().name("log".to_owned()).spawn(move || served.serve(look)) {
        Ok(_) => {
            log_panics(Arc::clone(&queue));
            look.dispatch(level, Arc::clone(QUEUE.get_or_init(|| queue)))
        }
        // A log that may wait is better than none.
        Err(_) => look.dispatch(level, io::stderr),
    };
    // It fails where logging has been started before, and goes on as it was.
    let _ = dispatcher::set_global_default(dispatch);
}

/// Says what the program ends with, which may be nothing, and waits a moment until all that was logged is written.
pub(super) fn end(last: &str) {
    let Some(queue) = QUEUE.get() else {
        // There is nobody left to tell if this fails.
        let _ = io::stderr().write_all(last.as_bytes());
        return;
    };
    queue.end(last);
}

/// Has a panic say its message after what led to it, and end the program where nobody reads either.
fn log_panics(queue: Arc<Queue>) {
    panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let backtrace = Backtrace::capture();
        let backtrace =
            if backtrace.status() == BacktraceStatus::Captured { backtrace.to_string() } else { String::new() };
        queue.end(&format!("thread '{name}' {panic}\n{backtrace}"));
    }));
}

/// How a line is written.
#[derive(Clone, Copy)]
struct Look {
    format: LogFormat,
    color: bool,
}

impl Look {
    fn dispatch<W>(self, level: LevelFilter, writer: W) -> Dispatch
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let builder = tracing_subscriber::fmt()
            .with_writer(writer)
            .with_max_level(level)
            .with_ansi(self.color)
            .with_target(false)
            // Complaining about a log that nobody takes any more would end the node.
            .log_internal_errors(false);
        match self.format {
            LogFormat::Text => Dispatch::new(builder.finish()),
            LogFormat::Json => Dispatch::new(builder.json().flatten_event(true).finish()),
        }
    }

    /// The line that stands for those that are missing. It is said at every level, and never finds the queue full.
    fn notice(self, missed: u64) -> Vec<u8> {
        let aside = Arc::new(Queue::default());
        dispatcher::with_default(&self.dispatch(LevelFilter::WARN, Arc::clone(&aside)), || {
            tracing::warn!("{missed} lines were not written: whoever reads this log does not keep up");
        });
        std::mem::take(&mut aside.lock().lines)
    }
}

/// Lines on their way to the thread that writes them.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Something waits.
    filled: Condvar,
    /// A line that was taken is written, or all are.
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// Whole lines, at most [`WAITING_MAX`] bytes.
    lines: Vec<u8>,
    /// How many lines came after these and found no room.
    missed: u64,
    /// Whether the writer has taken lines that it has not written yet.
    writing: bool,
    /// How many lines the writer has written, so that the end sees whether it gets on.
    lines_written: u64,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.missed == 0
    }
}

impl Queue {
    /// Adds a line, or counts it if there is no room. Once one is missing all are until the writer comes, so that the
    /// gap is in one place.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.missed > 0 || waiting.lines.len() + line.len() > WAITING_MAX {
            waiting.missed += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Adds what the program ends with, which may be nothing, and waits until everything is written, if somebody reads.
    fn end(&self, last: &str) {
        let until = clock::now() + PATIENCE_IN_ALL;
        // It has room where the rest is gone; where the rest is not read, it would not be either.
        if self.flush(until) && !last.is_empty() {
            self.push(last.as_bytes());
            self.flush(until);
        }
    }

    /// Waits until everything is written, at most until then, and for as long as the writer gets on; whether it is.
    fn flush(&self, until: Instant) -> bool {
        let mut waiting = self.lock();
        while waiting.writing || !waiting.is_empty() {
            let before = waiting.lines_written;
            let patience = PATIENCE.min(until.saturating_duration_since(clock::now()));
            let stuck =
                |waiting: &mut Waiting| waiting.lines_written == before && (waiting.writing || !waiting.is_empty());
            let waited = self.written.wait_timeout_while(waiting, patience, stuck);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return false;
            }
            waiting = after;
        }
        true
    }

    /// Writes for as long as the program runs.
    fn serve(&self, look: Look) {
        loop {
            self.write(look, &mut io::stderr());
        }
    }

    /// Waits until there is something to write, and writes it.
    fn write(&self, look: Look, out: &mut impl Write) {
        let waited = self.filled.wait_while(self.lock(), |waiting| waiting.is_empty());
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        let taken = Waiting { writing: true, lines_written: waiting.lines_written, ..Waiting::default() };
        let taken = std::mem::replace(&mut *waiting, taken);
        drop(waiting);
        // Line by line: others may write to the same pipe, and only what is written at once stays in one piece.
        for line in taken.lines.split_inclusive(|&byte| byte == b'\n') {
            write_whole(out, line);
            self.lock().lines_written += 1;
            self.written.notify_all();
        }
        if taken.missed > 0 {
            write_whole(out, &look.notice(taken.missed));
        }
        self.lock().writing = false;
        self.written.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No step in between leaves it in disorder.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line to its end, also where a program that shares the log has it refuse what it has no room for.
fn write_whole(out: &mut impl Write, mut line: &[u8]) {
    while !line.is_empty() {
        match out.write(line) {
            Ok(written) if written > 0 => line = line.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(AGAIN),
            // A log that nobody takes any more is no failure.
            Ok(_) | Err(_) => return,
        }
    }
}

/// What is written at once is a line.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Look = Look { format: LogFormat::Text, color: false };
    const JSON: Look = Look { format: LogFormat::Json, color: false };

    /// What the writer writes next.
    fn written(queue: &Queue, look: Look) -> Vec<String> {
        let mut out = Vec::new();
        queue.write(look, &mut out);
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    /// A queue of 256 lines that is full, and the numbers of three more.
    fn too_full() -> Queue {
        let queue = Queue::default();
        for number in 0..256 + 3 {
            queue.push(format!("{number:1023}\n").as_bytes());
        }
        queue
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_the_count_is_said_once() {
        let queue = too_full();
        let lines = written(&queue, TEXT);
        let (notice, whole) = lines.split_last().unwrap();
        let numbers: Vec<u32> = whole.iter().map(|line| line.trim().parse().unwrap()).collect();
        assert_eq!(numbers, (0..256).collect::<Vec<_>>());
        assert!(notice.contains(" WARN 3 lines were not written: whoever reads this log"), "{notice}");
        queue.push(b"later\n");
        assert_eq!(written(&queue, TEXT), ["later"]);
    }

    #[test]
    fn a_gap_is_in_one_place() {
        let queue = Queue::default();
        queue.push(b"before\n");
        queue.push(&[b'x'; WAITING_MAX]);
        queue.push(b"would fit\n");
        let lines = written(&queue, TEXT);
        assert_eq!(lines[0], "before");
        assert!(lines[1].contains(" 2 lines were not written"), "{lines:?}");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_count_is_said_in_the_format_of_the_log() {
        let notice = written(&too_full(), JSON).pop().unwrap();
        let notice: serde_json::Value = serde_json::from_str(&notice).unwrap();
        assert_eq!(notice["level"], "WARN");
        assert!(notice["message"].as_str().unwrap().starts_with("3 lines were not written"), "{notice}");
    }

    #[test]
    fn everything_is_written_in_order_before_the_end() {
        let queue = Queue::default();
        let number = |line: &String| line.parse().unwrap();
        let numbers: Vec<u32> = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut lines = Vec::new();
                while lines.len() < 1000 {
                    lines.extend(written(&queue, TEXT));
                }
                lines
            });
            (0..1000).for_each(|line| queue.push(format!("{line}\n").as_bytes()));
            assert!(queue.flush(clock::now() + Duration::from_secs(60)));
            assert!(queue.lock().is_empty());
            writer.join().unwrap().iter().map(number).collect()
        });
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_log_that_is_not_written_holds_up_the_end_for_a_moment_only() {
        let queue = Queue::default();
        let soon = || clock::now() + Duration::from_millis(10);
        assert!(queue.flush(clock::now()), "there is nothing to wait for");
        queue.push(b"line\n");
        assert!(!queue.flush(soon()));
        // A writer that has taken the line, and is held up.
        *queue.lock() = Waiting { writing: true, ..Waiting::default() };
        assert!(!queue.flush(soon()));
        let until = clock::now() + PATIENCE_IN_ALL;
        queue.end("the reason\n");
        assert!(clock::now() < until, "nothing moves");
        assert!(queue.lock().is_empty());
    }

    /// A log that takes a few bytes at a time, and between them nothing.
    #[derive(Default)]
    struct Narrow {
        taken: Vec<u8>,
        tries: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.tries += 1;
            match self.tries % 3 {
                1 => Err(io::ErrorKind::WouldBlock.into()),
                2 => Err(io::ErrorKind::Interrupted.into()),
                _ => self.taken.write(&bytes[..bytes.len().min(4)]),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_is_full_for_a_moment_and_lets_nobody_wait_gets_every_line_whole() {
        let queue = Queue::default();
        queue.push(b"one, and a long one\n");
        queue.push(b"two\n");
        let mut narrow = Narrow::default();
        queue.write(TEXT, &mut narrow);
        assert_eq!(String::from_utf8(narrow.taken).unwrap(), "one, and a long one\ntwo\n");
    }

    /// A log that is read slowly.
    struct Slow<'t>(&'t mut Vec<u8>);

    impl Write for Slow<'_> {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            thread::sleep(PATIENCE / 20);
            self.0.write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_end_is_said_to_a_slow_reader_too() {
        let queue = Queue::default();
        (0..30).for_each(|line| queue.push(format!("{line}\n").as_bytes()));
        let mut out = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                // The lines take longer than anybody waits for one, and the end comes after them.
                queue.write(TEXT, &mut Slow(&mut out));
                queue.write(TEXT, &mut Slow(&mut out));
            });
            queue.end("the reason\n");
            // Lets the writer end where this was not so.
            queue.push(b"more\n");
        });
        let lines: Vec<_> = std::str::from_utf8(&out).unwrap().lines().collect();
        assert_eq!(lines.get(30), Some(&"the reason"), "{lines:?}");
    }
}
