"""A replicated Redis whose primary dies, is replaced while it stays up, or is cut off from its sentinels; and sentinels that are away."""
import unittest

from load import Load, chaos_system, stats, wait_reason, wait_until
from replicated import NAME, Replicated
from system import stays


def system(replicas=2, wait_replicas=1, guarded=True):
    return chaos_system(redis=lambda folder: Replicated(folder, replicas, guarded), redis__wait_replicas=wait_replicas,
                        redis__sentinel__user="warmpool", redis__sentinel__password="sentinels-word")


def wait_found(whole, server):
    worker, line = whole.workers[0], f"event=redis_primary_found name={NAME} host=127.0.0.1 port={server.port}"
    wait_until(lambda: line in worker.log(), lambda: f"{line} in {worker.log()[-3000:]}")


def wait_replaced(redis, old):
    wait_until(lambda: redis.named() is not old, "the sentinels name another primary")


class PrimaryReplaced(unittest.TestCase):
    def test_killed_under_load_while_a_sentinel_is_away(self):
        with system() as whole:
            redis = whole.redis
            load = Load(whole).send(400).wait_answered(100)
            redis.sentinels[0].kill()
            old = redis.named()
            old.kill()
            load.send(400)
            wait_replaced(redis, old)
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 800})
            wait_found(whole, redis.named())

    def test_replaced_under_load_while_it_stays_up(self):
        # With one replica, what is answered after that became the primary has no replica to wait for.
        with system(replicas=1) as whole:
            redis = whole.redis
            load = Load(whole).send(400).wait_answered(100)
            old = redis.named()
            redis.sentinels[1].client.execute_command("SENTINEL FAILOVER", NAME)
            load.send(400)
            wait_until(lambda: load.answered() and old.role() == "slave", "the old primary is a replica")
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 800})
            wait_found(whole, redis.named())

    def test_replaced_as_the_documents_say_without_waiting_for_replicas(self):
        with system(wait_replicas=0, guarded=False) as whole:
            redis = whole.redis
            load = Load(whole).send(400).wait_answered(100)
            old = redis.named()
            old.client.execute_command("CLIENT PAUSE 10000 WRITE")
            redis.sentinels[1].client.execute_command("SENTINEL FAILOVER", NAME)
            load.send(400)
            wait_replaced(redis, old)
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 800})
            wait_found(whole, redis.named())

    def test_cut_off_from_its_sentinels_and_still_a_primary_for_the_worker(self):
        with system(wait_replicas=0, guarded=False) as whole:
            old = whole.redis.named()
            Load(whole).send(100).wait_answered().check()
            self.assertIn("event=redis_switch_may_forget", whole.workers[0].log())
            old.client.execute_command("ACL SETUSER sentinel off")
            old.client.execute_command("CLIENT KILL USER sentinel")
            wait_replaced(whole.redis, old)
            wait_found(whole, whole.redis.named())
            whole.workers[0].wait_ready()
            before = stats(whole)["total"]["warm_starts"]
            Load(whole).send(100).wait_answered()
            self.assertEqual(old.role(), "master")
            self.assertGreater(stats(whole)["total"]["warm_starts"], before)


class SentinelsAway(unittest.TestCase):
    def test_all_of_them(self):
        with system() as whole:
            worker, redis = whole.workers[0], whole.redis
            primary = redis.named()
            for sentinel in redis.sentinels:
                sentinel.kill()
            wait_until(lambda: "event=redis_sentinels_away" in worker.log(), worker.log)
            load = Load(whole).send(200)
            wait_until(lambda: load.answered() == 200, worker.log)  # the present primary is used on
            self.assertEqual(worker.http("/readyz")[0], 200)
            primary.client.execute_command("CLIENT KILL USER warmpool")
            self.assertRegex(wait_reason(worker, "sentinel"), r"Redis at redis-sentinel://127.0.0.1:\d+,.../orders \(redis.url\): sentinel "
                             r"127.0.0.1:\d+ \(likewise 127.0.0.1:\d+, 127.0.0.1:\d+\) does not answer: Connection refused")
            stays(lambda: worker.process.poll() is None, worker.log, seconds=1)
            redis.sentinels[2].start()
            worker.wait_ready()
            Load(whole).send(100).wait_answered().check(counters=False)


if __name__ == "__main__":
    unittest.main()
