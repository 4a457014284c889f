//! What engine and runner say to each other.

use std::fmt::Debug;

use homeostat::runner::limits::FRAME_MAX;
use homeostat::runner::{FrameError, ToEngine, ToRunner, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the bytes as what either side hears: as they are, and as the body of one frame, so that the
/// search is for JSON and not for its length.
pub fn frames(bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let framed = [&length[..], bytes].concat();
    for heard in [bytes, &framed] {
        hear::<ToRunner>(heard);
        hear::<ToEngine>(heard);
    }
}

/// Reads frame after frame, as a connection does.
fn hear<T: Serialize + DeserializeOwned + PartialEq + Debug>(mut rest: &[u8]) {
    loop {
        let announced = rest.first_chunk().map(|header| u32::from_be_bytes(*header) as usize);
        match decode::<T>(rest) {
            Ok(Some((frame, taken))) => {
                assert_eq!(announced.map(|length| length + 4), Some(taken), "{frame:?}");
                is_whole(&frame, &rest[..taken]);
                rest = &rest[taken..];
            }
            Ok(None) => {
                let is_a_part = announced.is_none_or(|length| rest.len() < length + 4);
                assert!(is_a_part, "{} bytes are no frame of {announced:?}", rest.len());
                return assert!(
                    announced.is_none_or(|length| length <= FRAME_MAX),
                    "{announced:?}"
                );
            }
            Err(error) => {
                let is_too_long = announced.is_some_and(|length| length > FRAME_MAX);
                assert_eq!(matches!(error, FrameError::TooLong { .. }), is_too_long, "{error}");
                return;
            }
        }
    }
}

/// A frame is its bytes and nothing before their end, and what is said of it is heard as the same.
fn is_whole<T: Serialize + DeserializeOwned + PartialEq + Debug>(frame: &T, bytes: &[u8]) {
    let (last, but_last) = (decode::<T>(bytes), decode::<T>(&bytes[..bytes.len() - 1]));
    assert!(matches!(last, Ok(Some((again, _))) if again == *frame), "{frame:?} ends later");
    assert!(matches!(but_last, Ok(None)), "{frame:?} ends earlier");
    let said = encode(frame).expect("what was heard can be said");
    match decode::<T>(&said) {
        Ok(Some((heard, taken))) => assert_eq!((&heard, taken), (frame, said.len())),
        other => panic!("{frame:?} is heard as {other:?}"),
    }
}
