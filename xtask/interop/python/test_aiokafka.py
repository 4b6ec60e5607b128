"""aiokafka: asyncio's client."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

LIMIT = 60


async def consume(bootstrap, topic, count, partition=0):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, check_crcs=True)
    await consumer.start()
    try:
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        return [await asyncio.wait_for(consumer.getone(), LIMIT) for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_compression(bootstrap, topic, codec):
    name = topic()
    values = [f"{number} {'like ' * 20}".encode() for number in range(300)]

    async def scenario():
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, acks="all", linger_ms=20)
        await producer.start()
        try:
            sent = [await producer.send(name, value) for value in values]
            places = [await asyncio.wait_for(future, LIMIT) for future in sent]
        finally:
            await producer.stop()
        assert [place.offset for place in places] == list(range(300))
        return [record.value for record in await consume(bootstrap, name, 300)]

    assert asyncio.run(scenario()) == values


def test_idempotent_producer_with_keys_and_headers(bootstrap, topic):
    name = topic()

    async def scenario():
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
        await producer.start()
        try:
            for number in range(20):
                await producer.send_and_wait(name, value=b"value", key=str(number).encode(), headers=[("header", b"\x00\xff")])
        finally:
            await producer.stop()
        return await consume(bootstrap, name, 20)

    records = asyncio.run(scenario())
    assert [record.key for record in records] == [str(number).encode() for number in range(20)]
    assert all(record.headers == (("header", b"\x00\xff"),) for record in records)


def test_offsets_and_waiting(bootstrap, topic):
    name = topic(partitions=2)

    async def scenario():
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await consumer.start()
        await producer.start()
        try:
            places = [TopicPartition(name, partition) for partition in range(2)]
            consumer.assign(places)
            await consumer.seek_to_end(*places)
            waiting = asyncio.create_task(consumer.getone())
            await producer.send_and_wait(name, b"awaited", partition=1)
            record = await asyncio.wait_for(waiting, LIMIT)
            ends = await consumer.end_offsets(places)
            return record.value, [ends[place] for place in places]
        finally:
            await consumer.stop()
            await producer.stop()

    assert asyncio.run(scenario()) == (b"awaited", [0, 1])


def test_admin(bootstrap, name):
    async def scenario():
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name=name, num_partitions=3, replication_factor=1)])
            described = await admin.describe_topics([name])
            await admin.delete_topics([name])
            return len(described[0]["partitions"])
        finally:
            await admin.close()

    assert asyncio.run(scenario()) == 3
