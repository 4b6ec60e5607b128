//! Records read from standard input beside the command's own work: reading blocks, and must not keep answers waiting.

use std::io::{self, Read};
use std::thread;

use tokio::sync::mpsc;

use super::template::read::{Input, Template};
use super::template::reader::RecordReader;

/// Records handed over at a time, at most.
const CHUNK_RECORDS: usize = 256;
/// Chunks read ahead.
const CHUNKS_AHEAD: usize = 8;

/// Records as they come, in chunks; an error ends them.
pub type Inputs = mpsc::Receiver<io::Result<Vec<Input>>>;

/// Starts reading `source` by `template`, in a thread that ends with its input or its reader.
pub fn read_from(source: impl Read + Send + 'static, template: Template) -> io::Result<Inputs> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    thread::Builder::new().name(String::from("input")).spawn(move || {
        let mut reader = RecordReader::new(source, template);
        loop {
            let chunk = next_chunk(&mut reader);
            let (chunk, is_over) = match chunk {
                Ok((records, is_over)) => (Ok(records), is_over),
                Err((records, problem)) => {
                    if sender.blocking_send(Ok(records)).is_err() {
                        return;
                    }
                    (Err(problem), true)
                }
            };
            if sender.blocking_send(chunk).is_err() || is_over {
                return;
            }
        }
    })?;
    Ok(receiver)
}

type Chunk = Result<(Vec<Input>, bool), (Vec<Input>, io::Error)>;

/// As many records as are there already, at least one unless the input is over.
fn next_chunk<R: Read>(reader: &mut RecordReader<R>) -> Chunk {
    let mut records = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return Ok((records, true)),
            Err(problem) => return Err((records, problem)),
        }
        // A person at a terminal expects each line to go out when it is typed.
        if records.len() >= CHUNK_RECORDS || !reader.has_buffered() {
            return Ok((records, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_records_then_the_error() {
        let template = Template::parse("%k,%v\\n").unwrap();
        let mut inputs = read_from(io::Cursor::new(b"a,1\nb,2\nwrong\n".to_vec()), template).unwrap();
        let mut values = Vec::new();
        let problem = loop {
            match inputs.recv().await.expect("an error comes first") {
                Ok(records) => values.extend(records.into_iter().filter_map(|record| record.value)),
                Err(problem) => break problem,
            }
        };
        assert_eq!(values, [b"1", b"2"]);
        assert!(problem.to_string().contains("record 3"), "{problem}");
        assert!(inputs.recv().await.is_none());
    }
}
