"""The Kafka clients of one warmpool client: a producer, and a reader of the answers.

The reader belongs to no consumer group: each client sees all answers, and picks out its own by their keys. It stands at the end of
the topics before anything is published, so no answer is missed. Two threads: one reads, one takes the producer's delivery reports.
"""
from __future__ import annotations

import logging
import threading
import time
import uuid
from concurrent.futures import Future
from typing import Any, Callable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from .errors import KafkaUnavailable

log = logging.getLogger("warmpool_client")

METADATA_SECONDS = 10.0  # between looks for new partitions
POLL_SECONDS = 0.1

Deliver = Callable[[str, bytes, bytes], None]


class Link:
    def __init__(self, config: Mapping[str, Any], prefix: str, topics: Sequence[str], look_back: float, deliver: Deliver) -> None:
        """look_back: seconds of answers that are read at the start. deliver(topic, key, value) runs in the reader's thread."""
        self._prefix, self._topics, self._look_back, self._deliver = prefix, tuple(topics), look_back, deliver
        common = dict(config)
        self._producer = Producer({"linger.ms": 0, "enable.idempotence": True, **common})
        self._consumer = Consumer({"fetch.wait.max.ms": 100, **common, "group.id": f"warmpool-client-{uuid.uuid4()}",
                                   "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest"})
        self._known: dict[str, int] = {}  # topic: partitions that are read
        self._behind: dict[tuple[str, int], int] = {}  # partitions that are not read up to where they ended at the start
        self._caught_up = threading.Event()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run, name=f"warmpool-{name}", daemon=True)
                         for name, run in (("answers", self._read), ("deliveries", self._take_reports))]

    def start(self, timeout: float) -> None:
        """Returns when what look_back asks for is read. Raises KafkaUnavailable after `timeout` seconds."""
        end = time.monotonic() + timeout
        starts = [start for topic in self._topics for start in self._starts_in_time(self._prefix + topic, end)]
        self._consumer.assign(starts)
        for thread in self._threads:
            thread.start()
        if self._behind and not self._caught_up.wait(max(0.0, end - time.monotonic())):
            raise KafkaUnavailable(f"the answers of the last {self._look_back:.0f} s could not be read within {timeout:.0f} s")

    def publish(self, topic: str, key: str, value: bytes) -> "Future[None]":
        """The future is done when Kafka has the record, or fails with KafkaUnavailable."""
        done: Future[None] = Future()

        def delivered(error: KafkaError | None, _: Message) -> None:
            if done.cancelled():
                return
            if error:
                done.set_exception(KafkaUnavailable(f"Kafka did not take a record for {self._prefix}{topic}: {error.str()}"))
            else:
                done.set_result(None)

        done.set_running_or_notify_cancel()  # what is under way to Kafka cannot be taken back
        try:
            self._producer.produce(self._prefix + topic, value, key=key.encode(), on_delivery=delivered)
        except (BufferError, KafkaException) as error:
            done.set_exception(KafkaUnavailable(f"a record for {self._prefix}{topic} cannot be sent: {error}"))
        return done

    def close(self, timeout: float = 10.0) -> None:
        """What was published is delivered first, for at most `timeout` seconds."""
        if self._stop.is_set():
            return
        left = self._producer.flush(timeout)
        if left:
            log.warning("%d records were not delivered within %.0f s", left, timeout)
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join()
        self._consumer.close()

    def _starts_in_time(self, name: str, end: float) -> list[TopicPartition]:
        """A topic that was just made, or moves to another broker, has no leader for a moment: it is asked again."""
        while True:
            try:
                return self._starts(name, end)
            except KafkaException as error:
                if time.monotonic() >= end:
                    raise KafkaUnavailable(f"Kafka does not answer: {error.args[0].str()}; is bootstrap.servers right?") from error
                time.sleep(POLL_SECONDS)

    def _starts(self, name: str, end: float) -> list[TopicPartition]:
        count = self._partitions(name, max(1.0, end - time.monotonic()))
        since = int((time.time() - self._look_back) * 1000)
        starts = []
        for number in range(count):
            _, high = self._consumer.get_watermark_offsets(TopicPartition(name, number), max(1.0, end - time.monotonic()))
            start = high
            if self._look_back:
                asked = self._consumer.offsets_for_times([TopicPartition(name, number, since)], max(1.0, end - time.monotonic()))
                start = asked[0].offset if 0 <= asked[0].offset < high else high
            if start < high:
                self._behind[name, number] = high
            starts.append(TopicPartition(name, number, start))
        self._known[name] = count
        return starts

    def _partitions(self, name: str, timeout: float) -> int:
        found = self._consumer.list_topics(name, timeout).topics[name]
        if found.error is not None or not found.partitions:
            raise KafkaUnavailable(f"there is no topic {name}: a worker makes it at its start; has it another topics.prefix?")
        return len(found.partitions)

    def _read(self) -> None:
        looked = time.monotonic()
        while not self._stop.is_set():
            message = self._consumer.poll(POLL_SECONDS)
            if message is not None:
                self._take(message)
            if time.monotonic() - looked > METADATA_SECONDS:
                looked = time.monotonic()
                self._read_new_partitions()

    def _take(self, message: Message) -> None:
        error, topic, number, offset = message.error(), message.topic(), message.partition(), message.offset()
        if topic is None or number is None:
            if error is not None:
                log.warning("reading answers: %s", error.str())
            return
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            log.warning("reading %s [%d]: %s", topic, number, error.str())
            return
        key, value = message.key(), message.value()
        if error is None and isinstance(key, bytes) and isinstance(value, bytes):
            try:
                self._deliver(topic[len(self._prefix):], key, value)
            except Exception:  # one answer must not end the reading of all others
                log.exception("an answer on %s [%d] at %s", topic, number, offset)
        if self._behind and (error is not None or (offset or 0) + 1 >= self._behind.get((topic, number), 0)):
            self._behind.pop((topic, number), None)
            if not self._behind:
                self._caught_up.set()

    def _read_new_partitions(self) -> None:
        """From their beginning: their first answer may be ours."""
        try:
            for name, known in list(self._known.items()):
                count = self._partitions(name, 5.0)
                if count > known:
                    self._consumer.incremental_assign([TopicPartition(name, number, 0) for number in range(known, count)])
                    self._known[name] = count
        except (KafkaException, KafkaUnavailable) as error:
            log.warning("looking for new partitions: %s", error)

    def _take_reports(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(POLL_SECONDS)
