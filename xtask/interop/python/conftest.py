"""What the suites share: the broker's address, names nobody uses, and topics made by an independent admin client."""

import os
import uuid

import pytest
from confluent_kafka.admin import AdminClient, NewTopic


@pytest.fixture(scope="session")
def bootstrap():
    return os.environ["FLUMEN_BOOTSTRAP"]


@pytest.fixture
def name(request):
    return f"{request.node.originalname[:60]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def topic(bootstrap, name):
    """A function that makes a topic and returns its name."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def make(partitions=1, **configs):
        config = {key.replace("_", "."): str(value) for key, value in configs.items()}
        wanted = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config)
        admin.create_topics([wanted], operation_timeout=30)[name].result(30)
        return name

    return make
