"""What the relay appends to its log while calls of Modal fail."""

import modal
from tabrl.trainer.v1 import trainer_pb2

from tabrl_trainer.modal_cloud import relay
from tabrl_trainer.modal_cloud.relay import _Relay
from tabrl_trainer.protocol import event_line


class Log:
    """A queue whose answers are lost while `loses` is set: it holds what was put all the same."""

    def __init__(self):
        """Start empty."""
        self.loses = False
        self.said: dict[int, bytes] = {}
        self.partitions: set[str] = set()

    def put_many(self, items, *, block, partition):
        """Take items, of which a reader sees the first that came under each number."""
        self.partitions.add(partition)
        for item in items:
            self.said.setdefault(item["seq"], item["event"])
        if self.loses:
            raise modal.exception.ConnectionError("Deadline exceeded")


def test_what_was_put_and_may_be_in_the_log_keeps_its_number(monkeypatch):
    monkeypatch.setattr(relay, "_PUT_AGAIN_SECS", 0.0)
    monkeypatch.setattr(relay, "_MOST_WAITING_METRICS", 60)
    told = _Relay("run-1/1", 0, None)
    told._queue = log = Log()
    # given metrics that were put, without an answer, then a line, and more metrics after it than may wait
    log.loses = True
    line = trainer_pb2.RunEvent(log=trainer_pb2.LogLine(text="a line"))
    for steps in range(1, 101):
        told._hear(event_line(trainer_pb2.RunEvent(metrics=trainer_pb2.TrainingMetrics(env_steps=steps))))
        if steps == 10:
            told._put()
            told._hear(event_line(line))
    # when the rest can be put, then each number stands for one event, and the line is not lost
    log.loses = False
    told._put()
    assert log.partitions == {"run-1/1/0/0"}
    assert sorted(log.said) == list(range(1, 61))
    said = [trainer_pb2.RunEvent.FromString(log.said[seq]) for seq in range(1, 61)]
    assert said[10] == line
    assert [event.metrics.env_steps for event in said if event != line] == [*range(1, 11), *range(52, 101)]
