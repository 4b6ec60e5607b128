//! DescribeTopicPartitions: topics in the order of their names, a page at a time.

use super::AdminContext;
use super::cluster_view::{ClusterView, Leadership, TOPIC_OPERATIONS};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Bound;
use flumen_controller::{TopicImage, names};
use flumen_protocol::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic, TopicRequest,
};
use flumen_protocol::{ErrorCode, Text, Uuid};

pub(super) fn answer(request: &DescribeTopicPartitionsRequest, context: &AdminContext<'_>) -> DescribeTopicPartitionsResponse {
    if !cursor_fits(request) {
        return refuse_all(&request.topics);
    }
    let largest = context.settings.layers(context.image).number("max.request.partition.size.limit").unwrap_or(1);
    let page = i64::from(request.response_partition_limit).min(largest).max(1);
    let mut page = Page {
        view: ClusterView { image: context.image, listener: context.settings.listener(context.listener) },
        room: usize::try_from(page).unwrap_or(1),
        cursor: request.cursor.as_ref(),
        topics: Vec::new(),
        next_cursor: None,
    };
    let first = request.cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
    let from = (Bound::Included(first), Bound::Unbounded);
    if request.topics.is_empty() {
        let all = context.image.topics_by_name.range::<str, _>(from);
        page.fill(all.map(|(name, _)| &**name));
    } else {
        let asked: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
        page.fill(asked.range::<str, _>(from).copied());
    }
    DescribeTopicPartitionsResponse { throttle_time_ms: 0, topics: page.topics, next_cursor: page.next_cursor }
}

/// A cursor lies in one of the topics asked for.
fn cursor_fits(request: &DescribeTopicPartitionsRequest) -> bool {
    request.cursor.as_ref().is_none_or(|cursor| {
        let named = request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
        named && cursor.partition_index >= 0
    })
}

fn refuse_all(topics: &[TopicRequest]) -> DescribeTopicPartitionsResponse {
    let refuse = |topic: &TopicRequest| failed(ErrorCode::InvalidRequest, &topic.name);
    DescribeTopicPartitionsResponse { topics: topics.iter().map(refuse).collect(), ..DescribeTopicPartitionsResponse::default() }
}

fn failed(error_code: ErrorCode, name: &str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name.into()),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

/// One page, as far as it is written.
struct Page<'a> {
    view: ClusterView<'a>,
    /// How many partitions it still takes.
    room: usize,
    cursor: Option<&'a Cursor>,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next_cursor: Option<Cursor>,
}

impl Page<'_> {
    fn fill<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            if self.next_cursor.is_some() {
                return;
            }
            if self.room == 0 {
                self.next_cursor = Some(Cursor { topic_name: name.into(), partition_index: 0 });
            } else if let Some(topic) = self.view.image.topic(name) {
                self.add(topic);
            } else if names::check(name).is_ok() {
                self.topics.push(failed(ErrorCode::UnknownTopicOrPartition, name));
            } else {
                self.topics.push(failed(ErrorCode::InvalidTopicException, name));
            }
        }
    }

    fn add(&mut self, topic: &TopicImage) {
        let here = self.cursor.filter(|cursor| cursor.topic_name == *topic.name);
        let first = here.map_or(0, |cursor| cursor.partition_index);
        let mut partitions = Vec::new();
        let behind = topic.numbered().skip_while(|(index, _)| index.0 < first);
        for (index, partition) in behind {
            if self.room == 0 {
                self.next_cursor = Some(Cursor { topic_name: Text::from(&*topic.name), partition_index: index.0 });
                break;
            }
            self.room -= 1;
            partitions.push(written(index.0, self.view.leadership(partition, true)));
        }
        self.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::None,
            name: Some(Text::from(&*topic.name)),
            topic_id: Uuid(topic.id.0),
            is_internal: names::is_internal(&topic.name),
            partitions,
            topic_authorized_operations: TOPIC_OPERATIONS,
        });
    }
}

fn written(partition_index: i32, leadership: Leadership) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition {
        error_code: leadership.error,
        partition_index,
        leader_id: leadership.leader_id,
        leader_epoch: leadership.leader_epoch,
        replica_nodes: leadership.replicas,
        isr_nodes: leadership.isr,
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: leadership.offline,
    }
}
