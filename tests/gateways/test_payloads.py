"""The place for large values: S3 as moto plays it, and the fake, alike."""

from __future__ import annotations

import hashlib

import pytest

from chalicelib.gateways import clients
from chalicelib.gateways.errors import Unavailable
from chalicelib.gateways.payloads import FakePayloadStore, PayloadMissing, PayloadStore, S3PayloadStore
from chalicelib.settings import Settings

BUCKET = "payloads-of-the-test"


@pytest.fixture
def s3_store(aws: None) -> S3PayloadStore:
    clients.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return S3PayloadStore.of(Settings(bucket=BUCKET))


@pytest.fixture(params=["s3_store", FakePayloadStore])
def store(request: pytest.FixtureRequest) -> PayloadStore:
    if request.param is FakePayloadStore:
        return FakePayloadStore()
    made = request.getfixturevalue("s3_store")
    assert isinstance(made, S3PayloadStore)
    return made


@pytest.mark.parametrize("text", ["", '{"a":1}', "é日本\u0000\n", "a" * 1_000_000])
def test_a_text_comes_back_as_it_was(store: PayloadStore, text: str) -> None:
    digest = store.put("proj_1", text)
    assert digest == hashlib.sha256(text.encode()).hexdigest()
    assert store.get("proj_1", digest) == text


def test_the_same_text_is_kept_under_the_same_digest(store: PayloadStore) -> None:
    assert store.put("proj_1", "a") == store.put("proj_1", "a")
    assert store.put("proj_1", "b") != store.put("proj_1", "a")


def test_a_projects_payload_is_not_another_projects(store: PayloadStore) -> None:
    digest = store.put("proj_1", "a")
    with pytest.raises(PayloadMissing):
        store.get("proj_2", digest)


def test_an_unknown_digest_is_missing(store: PayloadStore) -> None:
    with pytest.raises(PayloadMissing, match="0000"):
        store.get("proj_1", "0000")


def test_a_store_that_is_there_passes_the_check(store: PayloadStore) -> None:
    store.check()


def test_the_key_tells_the_project_and_the_hash(s3_store: S3PayloadStore) -> None:
    digest = s3_store.put("proj_1", "a")
    listed = clients.s3().list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in listed] == [f"payloads/proj_1/{digest}"]


def test_a_bucket_that_is_not_there_is_unavailable(aws: None) -> None:
    store = S3PayloadStore(bucket="nowhere")
    with pytest.raises(Unavailable, match="bucket nowhere: 404"):
        store.check()
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        store.put("proj_1", "a")
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        store.get("proj_1", "0000")
