//! Making the topic that a load writes to. It is answered when every partition of it is there.

use crate::Outcome;
use crate::batch::CLIENT;
use bytes::Bytes;
use clap::Args;
use flumen_protocol::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use flumen_protocol::{ApiKey, ErrorCode, Request, Response, Text, decode_response};
use std::io::{Read, Write};
use std::net::TcpStream;

/// The version of CreateTopics that is spoken.
const VERSION: i16 = 7;

#[derive(Args)]
pub(crate) struct Options {
    /// HOST:PORT of the broker
    #[arg(long)]
    address: String,
    #[arg(long, default_value = "bench")]
    topic: String,
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// A setting of the topic; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let setting = |pair: &String| {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair} is not KEY=VALUE"))?;
        Ok::<_, String>(CreatableTopicConfig { name: Text::from(name), value: Some(Text::from(value)) })
    };
    let topic = CreatableTopic {
        name: Text::from(options.topic.as_str()),
        num_partitions: options.partitions,
        replication_factor: 1,
        configs: options.set.iter().map(setting).collect::<Result<_, _>>()?,
        ..CreatableTopic::default()
    };
    let request = Request::from(CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() });
    let mut socket = TcpStream::connect(&options.address)?;
    socket.write_all(&request.encode(VERSION, 1, Some(CLIENT)).map_err(|error| format!("no request: {error}"))?)?;
    let mut size = [0; 4];
    socket.read_exact(&mut size)?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size))?];
    socket.read_exact(&mut frame)?;
    let Response::CreateTopics(response) = decode_response(ApiKey::CreateTopics, VERSION, Bytes::from(frame))?.1 else {
        return Err("another API's answer".into());
    };
    match response.topics.first() {
        Some(made) if made.error_code == ErrorCode::None => Ok(()),
        Some(refused) => Err(format!("{}: {:?} {:?}", options.topic, refused.error_code, refused.error_message).into()),
        None => Err("an empty answer".into()),
    }
}
