"""confluent-kafka (librdkafka, a newer one than the Rust tests build)."""

import time

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    OffsetSpec,
    ResourceType,
)

LIMIT = 60


def produce(bootstrap, records, **settings):
    """Produces (topic, key, value, headers) and returns the places they went to."""
    reports = []
    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    for topic, key, value, headers in records:
        producer.produce(topic, key=key, value=value, headers=headers, on_delivery=lambda error, message: reports.append((error, message)))
    assert producer.flush(LIMIT) == 0
    assert all(error is None for error, _ in reports), reports
    return [(message.partition(), message.offset()) for _, message in reports]


def consume(bootstrap, topic, count, partition=0, offset=OFFSET_BEGINNING, **settings):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "standalone", "enable.auto.commit": False, **settings})
    consumer.assign([TopicPartition(topic, partition, offset)])
    messages = []
    deadline = time.monotonic() + LIMIT
    while len(messages) < count and time.monotonic() < deadline:
        for message in consumer.consume(count - len(messages), timeout=1):
            assert message.error() is None, message.error()
            messages.append(message)
    consumer.close()
    assert len(messages) == count
    return messages


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression(bootstrap, topic, codec):
    name = topic()
    values = [f"{number} {'like ' * 20}".encode() for number in range(500)]
    produce(bootstrap, [(name, b"key", value, None) for value in values], **{"compression.type": codec, "linger.ms": 20})
    messages = consume(bootstrap, name, 500, **{"check.crcs": True})
    assert [message.value() for message in messages] == values
    assert [message.offset() for message in messages] == list(range(500))


def test_nulls_empties_and_headers(bootstrap, topic):
    name = topic()
    headers = [("one", b"\x00\xff"), ("none", None), ("empty", b""), ("one", b"again")]
    produce(bootstrap, [(name, None, None, None), (name, b"", b"", None), (name, b"key", b"value", headers)])
    messages = consume(bootstrap, name, 3)
    assert [(message.key(), message.value()) for message in messages] == [(None, None), (b"", b""), (b"key", b"value")]
    assert messages[2].headers() == headers


def test_idempotent_producer(bootstrap, topic):
    name = topic(partitions=3)
    places = produce(bootstrap, [(name, str(number).encode(), b"value", None) for number in range(1000)], **{"enable.idempotence": True})
    assert len(set(places)) == 1000


def test_committed_offsets_of_a_standalone_consumer(bootstrap, topic):
    name = topic()
    produce(bootstrap, [(name, None, b"value", None)] * 10)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"group-{name}", "enable.auto.commit": False})
    place = TopicPartition(name, 0, 7, metadata="a note")
    consumer.commit(offsets=[place], asynchronous=False)
    found = consumer.committed([TopicPartition(name, 0)], timeout=LIMIT)[0]
    assert (found.offset, found.metadata) == (7, "a note")
    assert consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=LIMIT) == (0, 10)
    consumer.close()


def test_offsets_by_time(bootstrap, topic):
    name = topic()
    start = int(time.time() * 1000) - 10_000
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(10):
        producer.produce(name, value=b"value", timestamp=start + number * 100)
    assert producer.flush(LIMIT) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "standalone"})
    found = consumer.offsets_for_times([TopicPartition(name, 0, start + 250)], timeout=LIMIT)
    assert found[0].offset == 3
    consumer.close()


def test_admin_topics_and_partitions(bootstrap, topic):
    name = topic(partitions=2)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_partitions([NewPartitions(name, 4)])[name].result(LIMIT)
    deadline = time.monotonic() + LIMIT
    while len(admin.list_topics(name, timeout=LIMIT).topics[name].partitions) != 4:
        assert time.monotonic() < deadline
    admin.delete_topics([name], operation_timeout=30)[name].result(LIMIT)
    with pytest.raises(KafkaException) as failure:
        admin.delete_topics([name])[name].result(LIMIT)
    assert failure.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_admin_configurations(bootstrap, topic):
    name = topic(retention_ms=12345)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, name)

    def value(key):
        return admin.describe_configs([resource])[resource].result(LIMIT)[key].value

    assert value("retention.ms") == "12345"
    change = ConfigEntry("segment.bytes", "2097152", incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[change])
    admin.incremental_alter_configs([asked])[asked].result(LIMIT)
    deadline = time.monotonic() + LIMIT
    while value("segment.bytes") != "2097152":
        assert time.monotonic() < deadline
    assert value("retention.ms") == "12345"


def test_admin_cluster_offsets_and_deletion(bootstrap, topic):
    name = topic()
    produce(bootstrap, [(name, None, b"value", None)] * 10)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    cluster = admin.describe_cluster().result(LIMIT)
    assert len(cluster.nodes) == 1 and cluster.cluster_id
    described = admin.describe_topics(TopicCollection([name]))[name].result(LIMIT)
    assert len(described.partitions) == 1
    place = TopicPartition(name, 0)
    latest = admin.list_offsets({place: OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_COMMITTED)[place].result(LIMIT)
    assert latest.offset == 10
    deleted = admin.delete_records([TopicPartition(name, 0, 4)])
    assert next(iter(deleted.values())).result(LIMIT).low_watermark == 4
    earliest = admin.list_offsets({place: OffsetSpec.earliest()})[place].result(LIMIT)
    assert earliest.offset == 4


def test_a_record_too_large_is_refused(bootstrap, topic):
    name = topic(max_message_bytes=10_000)
    reports = []
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 1_000_000})
    producer.produce(name, value=b"x" * 100_000, on_delivery=lambda error, _: reports.append(error))
    assert producer.flush(LIMIT) == 0
    assert reports[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
