//! What engine and runner say to each other: frames of JSON, each with its length before it.
//!
//! ```text
//!  engine                                  runner
//!  hello { protocol, fence, build, life } >
//!         <───── welcome { protocol, build, fence, running, over, lives, lingering }
//!  start(launch) ────────────────────────>
//!         <───── ended { order }           the record on the disk says how
//!         <───── refused { order, reason } it certainly did not start
//!         <───── gone { order }            what could not be ended of it has ended
//!  note { order } ───────────────────────>
//!         <───── noted { order }           the engine does it itself
//!  cancel { order } ─────────────────────>
//!  ping ──────────────────> <──────── pong  is it there at all?
//!  leave ────────────────────────────────> no engine will follow soon
//! ```
//!
//! A frame is four bytes, the length of the rest with the highest byte first, and JSON. Names and
//! fields of `hello` and `welcome` never change, so that any two versions can tell each other apart;
//! fields that are not known are passed over. The same goes for all frames of one protocol: a change
//! that the other side must understand raises [`PROTOCOL`].

use std::collections::BTreeSet;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::limits::FRAME_MAX;
use crate::act::{Launch, Refusal, Variables};

/// The version of what is said here.
pub const PROTOCOL: u32 = 1;

const HEADER: usize = 4;

/// Which start of an engine speaks, and by whose hands its orders may have been started so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hands {
    /// The start.
    pub life: String,
    /// The runners that it spoke with, by their ids, and [`ENGINE`] if it started something that no
    /// runner knows of.
    pub handed: BTreeSet<String>,
}

/// What stands for the engine's own hands.
pub const ENGINE: &str = "engine";

/// What an engine says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToRunner {
    /// Who it is. The first frame of a connection, and only the first.
    Hello {
        /// Its protocol.
        protocol: u32,
        /// The number of its start: of two engines the later one has the greater.
        fence: u64,
        /// Which program it is.
        build: String,
        /// What its actions inherit.
        environment: Variables,
        /// Which start of an engine it is, and who started something of it. Earlier programs do not
        /// say.
        #[serde(default)]
        life: Option<Hands>,
    },
    /// Own this run.
    Start(Launch),
    /// Know that the engine is about to do this order itself. Said only to a runner that has an id.
    Note {
        /// The order.
        order: String,
    },
    /// End this run before its time.
    Cancel {
        /// The order.
        order: String,
    },
    /// Say something: nothing was heard for a while.
    Ping,
    /// The engine goes, and nobody follows soon: end as soon as nothing runs.
    Leave,
}

/// What a runner says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToEngine {
    /// Who it is, and what it owns. From here on nothing starts that an earlier connection asked
    /// for and that is not listed.
    Welcome {
        /// Its protocol.
        protocol: u32,
        /// Which program it is.
        build: String,
        /// The greatest number that it was greeted with: with a smaller one an engine is refused.
        fence: u64,
        /// The orders that it has taken and whose end is not recorded.
        running: Vec<String>,
        /// Which runner it is; nothing of one of an earlier program.
        #[serde(default)]
        id: String,
        /// The orders that it has taken and that are over, or that it was told of, as far as anybody
        /// may ask.
        #[serde(default)]
        over: Vec<String>,
        /// The starts of engines of which it alone took orders, from the first to the last.
        #[serde(default)]
        lives: Vec<String>,
        /// The orders that are over and of which something could not be ended.
        #[serde(default)]
        lingering: Vec<String>,
    },
    /// A run is over, and its record is written, if that was possible at all.
    Ended {
        /// The order.
        order: String,
        /// Whether something of it could not be ended.
        #[serde(default)]
        lingers: bool,
    },
    /// What could not be ended of a run is gone. Said only to whoever says of which life it is.
    Gone {
        /// The order.
        order: String,
    },
    /// It knows that the engine does this order itself.
    Noted {
        /// The order.
        order: String,
    },
    /// It is there.
    Pong,
    /// A run certainly did not start.
    Refused {
        /// The order.
        order: String,
        /// Why.
        reason: Refusal,
    },
}

/// Why bytes are no frame.
#[derive(Debug, Error)]
pub enum FrameError {
    /// It says that it is longer than any frame.
    #[error("a frame of {length} bytes, at most {FRAME_MAX} are read")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// It is not understood.
    #[error("a frame is not understood")]
    Json(#[from] serde_json::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The connection ended within a frame.
    #[error("the connection ended within a frame")]
    Torn,
}

/// Reads the frame that the bytes begin with, and how many of them it took. None: there is only a
/// part of one.
///
/// It is a function of the bytes alone; whatever they are, it neither panics nor allocates more
/// than a frame may have.
///
/// # Errors
///
/// The bytes do not begin with a frame, however they go on.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<(T, usize)>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
    if length > FRAME_MAX {
        return Err(FrameError::TooLong { length });
    }
    match rest.get(..length) {
        Some(body) => Ok(Some((serde_json::from_slice(body)?, HEADER + length))),
        None => Ok(None),
    }
}

/// Writes a frame.
///
/// # Errors
///
/// It is too long: what must be said is refused as a whole, and never cut.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, frame)?;
    let length = bytes.len() - HEADER;
    let header = u32::try_from(length).ok().filter(|_| length <= FRAME_MAX);
    let header = header.ok_or(FrameError::TooLong { length })?;
    bytes[..HEADER].copy_from_slice(&header.to_be_bytes());
    Ok(bytes)
}

/// Reads frames from a connection, one after the other.
#[derive(Debug)]
pub(super) struct Frames<R> {
    reader: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new() }
    }

    /// The next frame; none at an end between two. It may be dropped and called again: what was
    /// read is kept.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        loop {
            if let Some((frame, taken)) = decode(&self.buffer)? {
                self.buffer.drain(..taken);
                // One large order need not cost its memory for ever.
                self.buffer.shrink_to(64 << 10);
                return Ok(Some(frame));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Torn) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::act::Command;

    fn launch() -> Launch {
        Launch {
            order: "1.restart.1".into(),
            run: "token".into(),
            command: Command::Argv(vec!["/bin/echo".into(), "a\u{1f}\n\"ä".into()]),
            environment: vec![("HOMEOSTAT_ORDER".into(), "1.restart.1".into())],
            timeout: Duration::from_millis(1_500),
            grace: Duration::from_secs(5),
            setting: crate::act::Setting::default(),
        }
    }

    #[test]
    fn what_is_said_is_heard_whole_and_in_order() {
        let environment = vec![("PATH".into(), "/bin".into())];
        let said = [
            ToRunner::Hello {
                protocol: PROTOCOL,
                fence: 7,
                build: "b".into(),
                environment,
                life: Some(Hands { life: "l".into(), handed: BTreeSet::from(["r".into()]) }),
            },
            ToRunner::Note { order: "1.call.1".into() },
            ToRunner::Start(launch()),
            ToRunner::Cancel { order: "1.restart.1".into() },
            ToRunner::Ping,
            ToRunner::Leave,
        ];
        let bytes: Vec<u8> = said.iter().flat_map(|frame| encode(frame).unwrap()).collect();
        let mut rest = bytes.as_slice();
        for frame in &said {
            let whole = decode::<ToRunner>(rest).unwrap().unwrap();
            for cut in 0..whole.1 {
                assert!(matches!(decode::<ToRunner>(&rest[..cut]), Ok(None)), "cut at {cut}");
            }
            assert_eq!(&whole.0, frame);
            rest = &rest[whole.1..];
        }
        assert!(rest.is_empty());
        let reason = Refusal::Spawn { program: "x".into(), error: "no".into() };
        let refused = ToEngine::Refused { order: "o".into(), reason };
        let bytes = encode(&refused).unwrap();
        assert_eq!(decode(&bytes).unwrap(), Some((refused, bytes.len())));
    }

    #[test]
    fn variables_that_are_no_text_are_carried() {
        use std::ffi::OsString;
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![b'x', 0xff, 0x80]);
        let environment = vec![(OsString::from("ODD"), odd)];
        let build = String::new();
        let hello = ToRunner::Hello { protocol: 1, fence: 1, build, environment, life: None };
        let bytes = encode(&hello).unwrap();
        assert_eq!(decode(&bytes).unwrap(), Some((hello, bytes.len())));
    }

    #[test]
    fn a_frame_of_the_future_is_read_as_far_as_it_is_known() {
        let body = br#"{"welcome":{"protocol":9,"build":"b","fence":3,"running":["o"],"new":[1]}}"#;
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let bytes = [&length[..], body].concat();
        let (frame, _) = decode::<ToEngine>(&bytes).unwrap().unwrap();
        let running = vec!["o".into()];
        let expected = ToEngine::Welcome {
            protocol: 9,
            build: "b".into(),
            fence: 3,
            running,
            id: String::new(),
            over: Vec::new(),
            lives: Vec::new(),
            lingering: Vec::new(),
        };
        assert_eq!(frame, expected);
    }

    #[test]
    fn a_length_over_the_bound_is_refused_before_anything_is_read_or_kept() {
        let longest = u32::try_from(FRAME_MAX).unwrap();
        assert!(matches!(decode::<ToRunner>(&longest.to_be_bytes()), Ok(None)));
        for length in [longest + 1, u32::MAX] {
            let answer = decode::<ToRunner>(&length.to_be_bytes());
            assert!(matches!(answer, Err(FrameError::TooLong { .. })), "{length}");
        }
        let long = ToRunner::Cancel { order: "x".repeat(FRAME_MAX) };
        assert!(matches!(encode(&long), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn the_largest_order_that_can_be_prepared_fits_a_frame() {
        let mut launch = launch();
        let string = "\u{1}".repeat(crate::act::limits::ENVIRONMENT_MAX);
        launch.environment = vec![("X".into(), string)];
        assert!(encode(&ToRunner::Start(launch)).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_reason_to_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<ToRunner>(&bytes);
            let _ = decode::<ToEngine>(&bytes);
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            let framed = [&length[..], &bytes].concat();
            let _ = decode::<ToRunner>(&framed);
            let _ = decode::<ToEngine>(&framed);
        }

        #[test]
        fn a_frame_that_is_bent_is_no_reason_to_panic(at in 0_usize..400, to in any::<u8>()) {
            let mut bytes = encode(&ToRunner::Start(launch())).unwrap();
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = decode::<ToRunner>(&bytes);
        }
    }
}
