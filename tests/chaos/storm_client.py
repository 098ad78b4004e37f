"""The client of the storm of containers: acquires and releases of several tenants. Some holders look into their container's /tmp, and
leave a file there that says whose it was."""
import queue
from concurrent.futures import ThreadPoolExecutor

from engine_api import EngineApi, Refused
from judge_client import JudgeClient

NEWCOMER = "newcomer"  # a tenant that comes at the end


class StormClient(JudgeClient):
    philosophies = {"react": 40, "planning": 34, "reflexion": 10, "debate": 9, "critic": 4, "single": 3}  # most of them are used again: 10 a second need few creates
    tenants = ("blue", "red", "green", "amber", "grey")
    events = {"some_acquire": 1}
    bursts = {1: 80, 4: 15, 12: 3}
    hold_s = 0.5
    waiting_most = 30  # an engine makes some containers a second: what is kept ready comes after all that wait
    visits_share = 0.08

    def __init__(self, system, history, seed, rate):
        super().__init__(system, history, seed, rate / 2)  # each acquire has a release
        self.api = EngineApi(system.engine.url, 20)
        self.visitors, self.back, self.away = ThreadPoolExecutor(2), queue.SimpleQueue(), 0

    def hold(self, event, container, seconds):
        if self.random.random() < self.visits_share:
            self.away += 1
            self.visitors.submit(self.visit, event, container)
        else:
            super().hold(event, container, seconds)

    def visit(self, event, container):
        """In a thread of its own. The lease is given back after it, and so what is seen is of holders before."""
        mark = f"mark.{event['tenant']}.{event['request_id']}"
        try:
            names = self.api.run(container, "sh", "-c", f"echo /tmp/* /tmp/.[!.]* /dev/shm/*; : >/tmp/{mark}; : >/tmp/.{mark}; : >/dev/shm/{mark}").split()
            saw = sorted({name.rpartition("/")[2].removeprefix(".") for name in names if "mark." in name})
            self.history.write("visit", request=event["request_id"], container=container, tenant=event["tenant"], saw=saw, left=mark)
        except Refused as error:  # it is dead, paused or full of processes
            self.history.write("visit", request=event["request_id"], container=container, tenant=event["tenant"], failed=str(error)[:200])
        self.back.put((event, container))

    def pump(self, seconds=0.02):
        super().pump(seconds)
        while not self.back.empty():
            self.away -= 1
            self.release(*self.back.get())

    def owed(self):
        return {**super().owed(), "visits": self.away}

    def newcomers(self, each):
        """A tenant that was never here asks each philosophy for as many as are kept ready; each: philosophy -> how many."""
        for philosophy, count in each.items():
            for _ in range(count):
                event = {"request_id": self.name("r"), "agent_id": "a9", "philosophy": philosophy, "tenant": NEWCOMER, "timeout_ms": 120000}
                self.plans[event["request_id"]] = (event, 1)
                self.acquires.add(event["request_id"])
                self.send("container-acquire", event)
