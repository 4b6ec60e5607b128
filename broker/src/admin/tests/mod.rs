//! Requests about the cluster, answered with the controller's own state machine behind them.
//!
//! The expectations are what Kafka 4.4.0 answers to the same requests, unless a test says otherwise.

mod cluster;
mod configs;
mod coordinators;
mod describe_partitions;
mod metadata;
mod topics;
mod versions;

use super::{AdminContext, BrokerSettings, ConfigDescription, Step, finish, handle};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use flumen_controller::command::{Command, RegisterBroker};
use flumen_controller::configs::KafkaConfigRules;
use flumen_controller::{Endpoint, MetadataImage, StateMachine};
use flumen_log::{BrokerId, TopicId};
use flumen_protocol::{Request, Response, Text, create_topics, describe_configs};

/// The listener requests come in on.
const CLIENTS: u16 = 0;
/// A second listener.
const INNER: u16 = 1;

/// What an answer may hold.
const REPLY_BYTES: usize = 1 << 20;

/// A cluster whose controller decides at once.
struct World {
    machine: StateMachine,
    settings: BrokerSettings,
    ids: u8,
    /// How many commands were asked for.
    proposed: usize,
}

impl World {
    /// One broker, number 1, on two listeners.
    fn new() -> Self {
        Self::with(&[])
    }

    /// As `new`, with settings given at the start.
    fn with(fixed: &[(&str, &str)]) -> Self {
        let machine = StateMachine::new(Arc::new(MetadataImage::default()), Box::new(KafkaConfigRules));
        let settings = BrokerSettings {
            broker: BrokerId(1),
            listeners: Vec::from(["PLAINTEXT".into(), "INNER".into()]),
            fixed: fixed.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        let mut world = Self { machine, settings, ids: 0, proposed: 0 };
        world.apply(Command::NameCluster { cluster_id: "cluster".into() });
        world.register(1, &["PLAINTEXT", "INNER"]);
        world
    }

    fn apply(&mut self, command: Command) -> flumen_controller::CommandResponse {
        self.machine.apply(command).0
    }

    /// A broker registers with these listeners.
    fn register(&mut self, id: i32, listeners: &[&str]) {
        let endpoint = |name: &&str| Endpoint { listener: (*name).into(), host: alloc::format!("host{id}"), port: 9092 };
        self.apply(Command::RegisterBroker(RegisterBroker {
            broker: BrokerId(id),
            endpoints: listeners.iter().map(endpoint).collect(),
            rack: Some("rack".into()),
            boot_id: "boot".into(),
            clean_stop: true,
            offline: Vec::new(),
        }));
    }

    fn fence(&mut self, id: i32) {
        let broker_epoch = self.image().brokers[&BrokerId(id)].epoch;
        self.apply(Command::FenceBroker { broker: BrokerId(id), broker_epoch });
    }

    fn image(&self) -> &MetadataImage {
        self.machine.image()
    }

    fn step(&mut self, request: &Request, version: i16, listener: u16) -> Step {
        if let Request::DescribeConfigs(request) = request {
            return Step::Reply(self.describe(request.clone()).into());
        }
        let ids = &mut self.ids;
        let context = AdminContext {
            image: self.machine.image(),
            settings: &self.settings,
            listener,
            new_topic_id: &mut || {
                *ids += 1;
                TopicId([*ids; 16])
            },
        };
        handle(request, version, context).expect("a request about the cluster")
    }

    fn describe(&self, request: describe_configs::DescribeConfigsRequest) -> describe_configs::DescribeConfigsResponse {
        let mut description = ConfigDescription::new(request, REPLY_BYTES);
        while description.next(self.machine.image(), &self.settings).is_some() {}
        description.into_response()
    }

    /// The answer to a request. All that the controller was asked on the way is done.
    fn ask<R>(&mut self, request: impl Into<Request>, version: i16) -> R
    where
        R: TryFrom<Told>,
    {
        self.ask_on(CLIENTS, request, version)
    }

    fn ask_on<R>(&mut self, listener: u16, request: impl Into<Request>, version: i16) -> R
    where
        R: TryFrom<Told>,
    {
        let response = match self.step(&request.into(), version, listener) {
            Step::Reply(response) => response,
            Step::Propose { command, then, .. } => {
                self.proposed += 1;
                let decision = Ok(self.apply(command));
                finish(then, decision, self.machine.image(), &self.settings)
            }
            Step::ReplyAndPropose { response, command } => {
                self.proposed += 1;
                self.apply(command);
                response
            }
        };
        response.encode_strictly(version, 1).expect("the version carries all that is answered");
        R::try_from(Told(response)).unwrap_or_else(|_| panic!("an answer to another request"))
    }

    fn create(&mut self, name: &str, partitions: i32) {
        let request =
            create_topics::CreateTopicsRequest { topics: Vec::from([new_topic(name, partitions, 1, &[])]), ..Default::default() };
        let response: create_topics::CreateTopicsResponse = self.ask(request, 7);
        assert!(response.topics[0].error_code.is_none(), "{response:?}");
    }
}

/// An answer that knows which request it is for.
struct Told(Response);

macro_rules! told {
    ($($api:ident: $module:ident::$response:ident;)*) => {
        $(
            impl TryFrom<Told> for flumen_protocol::$module::$response {
                type Error = ();

                fn try_from(told: Told) -> Result<Self, ()> {
                    match told.0 {
                        Response::$api(response) => Ok(response),
                        _ => Err(()),
                    }
                }
            }
        )*
    };
}

told! {
    AlterConfigs: alter_configs::AlterConfigsResponse;
    ApiVersions: api_versions::ApiVersionsResponse;
    CreatePartitions: create_partitions::CreatePartitionsResponse;
    CreateTopics: create_topics::CreateTopicsResponse;
    DeleteTopics: delete_topics::DeleteTopicsResponse;
    DescribeCluster: describe_cluster::DescribeClusterResponse;
    DescribeConfigs: describe_configs::DescribeConfigsResponse;
    DescribeTopicPartitions: describe_topic_partitions::DescribeTopicPartitionsResponse;
    FindCoordinator: find_coordinator::FindCoordinatorResponse;
    IncrementalAlterConfigs: incremental_alter_configs::IncrementalAlterConfigsResponse;
    Metadata: metadata::MetadataResponse;
}

fn new_topic(
    name: &str,
    num_partitions: i32,
    replication_factor: i16,
    configs: &[(&str, Option<&str>)],
) -> create_topics::CreatableTopic {
    let config = |(name, value): &(&str, Option<&str>)| create_topics::CreatableTopicConfig {
        name: (*name).into(),
        value: value.map(Text::from),
    };
    create_topics::CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}

fn texts(names: &[&str]) -> Vec<Text> {
    names.iter().copied().map(Text::from).collect()
}

fn owned(text: &Option<Text>) -> String {
    text.as_ref().map(|text| String::from(text.as_str())).unwrap_or_default()
}
