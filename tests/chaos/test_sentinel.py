"""A replicated Redis whose primary dies, or is replaced while it stays up, and sentinels that are away or wrong."""
import functools
import unittest

from load import Load, chaos_system, reason, wait_reason, wait_until
from replicated import Replicated


def system(replicas=2, wait_replicas=1, **options):
    made = []

    def make(folder):
        made.append(Replicated(folder, replicas))
        return made[0]
    return chaos_system(redis=make, redis__wait_replicas=wait_replicas, redis__sentinel__user="warmpool",
                        redis__sentinel__password="sentinels-word", **options)


class PrimaryReplaced(unittest.TestCase):
    def test_killed_under_load(self):
        with system() as whole:
            load = Load(whole).send(1500).wait_answered(300)
            old = whole.redis.named()
            old.kill()
            load.send(1500)
            wait_until(lambda: load.answered() and whole.redis.named() is not old, "the sentinels name another primary")
            load.wait_answered().check()
            self.assertEqual(load.statuses(), {"assigned": 3000})
            self.assertIn(f"event=redis_primary_found name=orders host=127.0.0.1 port={whole.redis.named().port}", whole.workers[0].log())


if __name__ == "__main__":
    unittest.main()
