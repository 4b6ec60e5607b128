//! Frames on a stream: four bytes of size, then so many bytes.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of a claimed size is believed before its bytes are there.
const TRUSTED_BYTES: usize = 1 << 20;

/// Reads one frame, without its size.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S, bytes_max: usize) -> Result<Bytes, String> {
    let size = stream.read_i32().await.map_err(|problem| match problem.kind() {
        std::io::ErrorKind::UnexpectedEof => String::from("the broker closed it"),
        _ => problem.to_string(),
    })?;
    let size = usize::try_from(size).ok().filter(|size| *size <= bytes_max);
    let size = size.ok_or_else(|| format!("a frame larger than {bytes_max} bytes, or no Kafka broker"))?;
    let mut frame = BytesMut::with_capacity(size.min(TRUSTED_BYTES));
    let mut body = stream.take(u64::try_from(size).unwrap_or(u64::MAX));
    while frame.len() < size {
        frame.reserve((size - frame.len()).min(frame.len().max(TRUSTED_BYTES)));
        let read = body.read_buf(&mut frame).await.map_err(|problem| problem.to_string())?;
        if read == 0 {
            return Err(String::from("the broker closed it within a frame"));
        }
    }
    Ok(frame.freeze())
}

/// The number that says which request a frame answers.
pub(super) fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn takes_one_frame_and_leaves_the_next() {
        let mut stream: &[u8] = &[0, 0, 0, 2, 7, 8, 0, 0, 0, 0];
        assert_eq!(read(&mut stream, 10).await.unwrap().as_ref(), [7, 8]);
        assert_eq!(read(&mut stream, 10).await.unwrap().as_ref(), [0u8; 0]);
        assert!(read(&mut stream, 10).await.unwrap_err().contains("closed"));
    }

    #[tokio::test]
    async fn refuses_what_is_too_large_negative_or_cut_short() {
        for bytes in [&[0u8, 0, 0, 11][..], &[0xff; 4], &[0, 0, 0, 2, 7]] {
            let mut stream = bytes;
            assert!(read(&mut stream, 10).await.is_err(), "{bytes:?}");
        }
    }
}
