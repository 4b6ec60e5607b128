"""kafka-python: a client of its own, in Python from the socket up."""

import itertools

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

LIMIT = 60


def consume(bootstrap, topic, count, offset=0, partition=0):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, consumer_timeout_ms=LIMIT * 1000, enable_auto_commit=False, check_crcs=True)
    place = TopicPartition(topic, partition)
    consumer.assign([place])
    consumer.seek(place, offset)
    records = list(itertools.islice(consumer, count))
    consumer.close()
    assert len(records) == count
    return records


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_compression(bootstrap, topic, codec):
    name = topic()
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, acks="all", linger_ms=20)
    values = [f"{number} {'like ' * 20}".encode() for number in range(300)]
    sent = [producer.send(name, value) for value in values]
    producer.flush(LIMIT)
    assert [future.get(LIMIT).offset for future in sent] == list(range(300))
    producer.close()
    assert [record.value for record in consume(bootstrap, name, 300)] == values


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_acks(bootstrap, topic, acks):
    name = topic()
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks=acks, enable_idempotence=False)
    for number in range(50):
        producer.send(name, str(number).encode())
    producer.flush(LIMIT)
    producer.close()
    assert [record.value for record in consume(bootstrap, name, 50)] == [str(number).encode() for number in range(50)]


def test_keys_headers_and_timestamps(bootstrap, topic):
    name = topic()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(name, key=b"key", value=None, headers=[("a", b"\x00\xff"), ("a", b"")], timestamp_ms=1_700_000_000_000).get(LIMIT)
    producer.close()
    record = consume(bootstrap, name, 1)[0]
    assert (record.key, record.value, record.timestamp) == (b"key", None, 1_700_000_000_000)
    assert list(record.headers) == [("a", b"\x00\xff"), ("a", b"")]


def test_offsets(bootstrap, topic):
    name = topic()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for number in range(10):
        producer.send(name, b"value", timestamp_ms=1_700_000_000_000 + number * 1000)
    producer.flush(LIMIT)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=f"group-{name}", enable_auto_commit=False)
    place = TopicPartition(name, 0)
    consumer.assign([place])
    assert consumer.beginning_offsets([place])[place] == 0
    assert consumer.end_offsets([place])[place] == 10
    assert consumer.offsets_for_times({place: 1_700_000_002_500})[place].offset == 3
    consumer.commit({place: OffsetAndMetadata(6, "a note", -1)})
    assert consumer.committed(place) == 6
    consumer.close()


def test_admin(bootstrap, name):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name=name, num_partitions=2, replication_factor=1, topic_configs={"retention.ms": "12345"})])
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic(name=name, num_partitions=2, replication_factor=1)])
    assert name in admin.list_topics()
    admin.create_partitions({name: NewPartitions(total_count=3)})
    described = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)]))
    assert "12345" in described
    admin.delete_topics([name])
    admin.close()
