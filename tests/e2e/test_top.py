"""warmpool top on a real terminal: one of tmux, whose screen is read as text."""
import os
import re
import signal
import subprocess
import tempfile
import types
import unittest
import uuid

from client import Client
from system import WARMPOOL, System, die_with_parent, stays, wait_until

HIDDEN, SHOWN = "0", "1"


class Terminal:
    """A shell in a terminal of its own, 80 by 24. It tells its own settings before and after, as a user's shell would have them."""

    def __init__(self, folder, environment=(), log=lambda: ""):
        self.log = log
        self.socket = os.path.join(folder, f"tmux-{uuid.uuid4().hex[:8]}")
        # No history and no prompt of whoever runs the test; the screen has what was typed and what was answered.
        start = ["env", "-i", f"PATH={os.environ['PATH']}", "HOME=/nonexistent", "LANG=C.UTF-8", *environment, "PS1=$ ", "bash", "--norc", "--noprofile"]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", " ".join(f"'{word}'" for word in start))
        self.wait(r"^\$", "a shell")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], check=True, capture_output=True, text=True).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def cursor(self):
        return self.tmux("display-message", "-p", "#{cursor_flag}").strip()

    def alternate(self):
        """True while a program has the screen for itself."""
        return self.tmux("display-message", "-p", "#{alternate_on}").strip() == "1"

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.keys("Enter")

    def wait(self, text, what=None):
        """Until the screen has the text (a regular expression). Returns the screen."""
        return wait_until(lambda: (lambda screen: screen if re.search(text, screen, re.M) else "")(self.screen()),
                          lambda: f"{what or text}:\n{self.screen()}\n{self.log()[-3000:]}")

    def run(self, command):
        """Runs a command of the shell, and returns what it printed."""
        mark = uuid.uuid4().hex[:8]
        self.keys("C-l")
        self.type(f"{command}; echo end{mark[:4]}''{mark[4:]} $?")
        screen = self.wait(rf"end{mark} \d+")
        return screen.partition("\n")[2].partition(f"end{mark}")[0]

    def settings(self):
        return self.run("stty -a")

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)


def line_of(screen, begin):
    """The line that begins so, behind the mark of the chosen row."""
    return next((line for line in screen.splitlines() if line[1:].startswith(begin)), "")


class WithTop(unittest.TestCase):
    options, kafka = {}, None

    @classmethod
    def setUpClass(cls):
        cls.system = System(kafka=cls.kafka, options={**cls.options, "pool.prewarm": "react:3,other:1", "pool.max_containers": 8, "pool.size": 8, "metrics.interval": 1, "tenant.max_leases.red": 1,
                                     "worker.id": "one"})
        cls.addClassCleanup(cls.system.close)
        cls.folder = tempfile.TemporaryDirectory(prefix="warmpool-top-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.config = os.path.join(cls.folder.name, "top.ini")
        with open(cls.config, "w") as file:
            for key, value in cls.system.options.items():
                section, _, name = key.partition(".")
                if key != "worker.id":
                    file.write(f"[{section}]\n{name} = {value}\n")
        cls.program = cls.system.command("top")[0]
        cls.system.wait_pool("react", available=3)

    def terminal(self, *environment):
        terminal = Terminal(self.folder.name, environment, self.system.workers[0].log)
        self.addCleanup(terminal.close)
        return terminal

    def start(self, terminal):
        """Starts top as a command of the shell; returns its process id."""
        terminal.keys("C-l")
        terminal.type(f"{self.program} top -c {self.config} --interval 0.5; echo status $?")
        terminal.wait(r"^.react +\[")
        pids = terminal.tmux("display-message", "-p", "#{pane_pid}").strip()
        with open(f"/proc/{pids}/task/{pids}/children") as children:
            return int(children.read().split()[-1])

    def assert_restored(self, terminal, before, what, status=None):
        wait_until(lambda: not terminal.alternate(), lambda: f"{what}: the screen is the shell's again\n{terminal.screen()}")
        if status is not None:
            terminal.wait(f"^status {status}$", what)
        self.assertEqual(terminal.settings(), before, what)
        self.assertEqual(terminal.cursor(), SHOWN, what)


class Top(WithTop):
    def setUp(self):
        self.client = Client(self.system)

    def test_what_happens_is_on_the_screen(self):
        terminal = self.terminal("TERM=tmux-256color")
        self.start(terminal)
        screen = terminal.wait("1 worker$")
        self.assertIn("hosts 1 up", screen)
        self.assertEqual(terminal.cursor(), HIDDEN)
        self.client.acquire("s1", tenant="red")
        self.client.acquire("s2", tenant="red")  # it may have one
        self.client.acquire("s3", tenant="blue")
        terminal.wait(r"^ requests .*1 rejected")
        terminal.wait(r"^.react .* 2 +\d+ +0 +- ")  # two are leased
        terminal.keys("3")
        terminal.wait("^.red +1/1 ")
        terminal.keys("1", "End", "Enter")
        terminal.wait("pool react")
        screen = terminal.wait(r"^.wp-react-\d+ +leased .*s1 +agent-s1")
        self.assertRegex(screen, r"wp-react-\d+ +idle")
        terminal.keys("3")
        terminal.wait("rejected s2 .*limit: tenant red")
        terminal.keys("Escape")
        terminal.wait("^.other ")
        for request in "s1", "s3":
            self.client.send("container-release", {"request_id": request, "philosophy": "react"})
        self.system.wait_pool("react", leased=0)

    def test_who_waits_is_seen_with_how_long(self):
        terminal = self.terminal("TERM=tmux-256color")
        for number in range(9):
            self.client.send("container-acquire", {"request_id": f"w{number}", "agent_id": "a", "philosophy": "crowded", "timeout_ms": 120000})
        self.start(terminal)
        terminal.wait(r"waiting 1, oldest [\d.]+ s \(crowded\)")
        terminal.keys("/")
        terminal.type("crowd")
        terminal.wait('filtered by "crowd"')
        terminal.keys("Enter", "Tab")
        self.assertRegex(terminal.wait(r"^.w\d +[\d.]+ s +\d+ s"), "WAITSv")
        terminal.keys("q")
        for number in range(9):
            self.client.send("container-release", {"request_id": f"w{number}", "philosophy": "crowded"})
        self.system.wait_pool("crowded", leased=0, waiting=0)

    def test_it_is_sorted_filtered_and_resized(self):
        terminal = self.terminal("TERM=xterm-256color")
        self.start(terminal)
        names = lambda screen: re.findall("^.(react|other) ", screen, re.M)
        self.assertEqual(names(terminal.screen()), ["other", "react"])
        terminal.keys("s", "s")
        terminal.wait("IDLEv")
        wait_until(lambda: names(terminal.screen()) == ["react", "other"], lambda: terminal.screen())
        terminal.keys("/")
        terminal.type("oth")
        wait_until(lambda: names(terminal.screen()) == ["other"], lambda: terminal.screen())
        terminal.keys("Escape")
        wait_until(lambda: names(terminal.screen()) == ["react", "other"], lambda: terminal.screen())
        for columns, rows in ((200, 60), (40, 10), (20, 4), (80, 24)):
            terminal.tmux("resize-window", "-x", str(columns), "-y", str(rows))
            wait_until(lambda: (lambda lines: len(lines) == rows and lines[-1].startswith(" Enter open"))(terminal.screen().rstrip("\n").split("\n")),
                       lambda: f"{columns} by {rows}:\n{terminal.screen()}")
        self.assertEqual(names(terminal.screen()), ["react", "other"])
        terminal.keys("?")
        terminal.wait("Bars:")
        terminal.keys("q")
        terminal.wait("^status 0$", "it has ended")

    def test_the_terminal_is_restored_at_any_end(self):
        terminal = self.terminal("TERM=tmux-256color")
        before = terminal.settings()
        self.assertIn("icanon", before)
        for key in "q", "C-c":
            self.start(terminal)
            self.assertTrue(terminal.alternate())
            terminal.keys(key)
            self.assert_restored(terminal, before, key, status=0)
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT:
            os.kill(self.start(terminal), number)
            self.assert_restored(terminal, before, number.name, status=0)
        for number in signal.SIGSEGV, signal.SIGABRT:
            os.kill(self.start(terminal), number)
            self.assert_restored(terminal, before, number.name, status=128 + number)

    def test_it_stops_and_goes_on(self):
        terminal = self.terminal("TERM=tmux-256color")
        before = terminal.settings()
        self.start(terminal)
        terminal.keys("C-z")
        self.assert_restored(terminal, before, "stopped")
        terminal.type("clear; fg")
        terminal.wait(r"^.react +\[")
        self.assertEqual((terminal.alternate(), terminal.cursor()), (True, HIDDEN))
        terminal.keys("q")
        self.assert_restored(terminal, before, "quit after a stop")

    def test_simple_terminals_and_no_colours(self):
        for environment in (("TERM=vt100",), ("TERM=tmux-256color", "NO_COLOR=1"), ("TERM=linux", "LANG=C", "LC_ALL=C")):
            terminal = self.terminal(*environment)
            self.start(terminal)
            coloured = re.search(r"\033\[[0-9;]*3[0-7]m", terminal.tmux("capture-pane", "-p", "-e"))
            self.assertEqual(bool(coloured), environment[0] == "TERM=linux", environment)
            self.assertIn(">", terminal.screen())
            terminal.keys("q")
            terminal.wait("^status 0$", "it has ended")

    def test_without_a_terminal_it_says_what_to_do(self):
        for environment, why in (({"TERM": "dumb"}, "a terminal of the kind dumb .* cannot be drawn on"),
                                 ({"TERM": "none-such"}, "no terminal of the kind none-such is known here"), ({"TERM": ""}, "TERM is not set")):
            terminal = self.terminal(*(f"{name}={value}" for name, value in environment.items()))
            text = terminal.run(f"{self.program} top -c {self.config}").replace("\n", "")
            self.assertRegex(text, f"warmpool top: {why}.*`warmpool ?top --once`")
        for arguments, stdin in (((), subprocess.DEVNULL), (("--interval", "3"), None)):
            top = subprocess.run([self.program, "top", *arguments, "-c", self.config], stdin=stdin, capture_output=True, text=True, timeout=60)
            self.assertEqual((top.returncode, top.stdout), (1, ""))
            self.assertRegex(top.stderr, "^warmpool top: standard output is no terminal; `warmpool top --once` prints the figures and ends\n$")

    def test_once_prints_a_plain_screen(self):
        self.client.acquire("o1")
        self.client.send("container-release", {"request_id": "o1", "philosophy": "react"})
        self.system.wait_pool("react", leased=0)
        wait_until(lambda: re.search(r"^ requests \d+\.\d/min ", self.system.cli("top", "--once").stdout, re.M), "records of the past give a rate")
        top = self.system.cli("top", "--once")
        self.assertEqual((top.returncode, top.stderr), (0, ""))
        self.assertNotIn("\033", top.stdout)
        self.assertRegex(top.stdout, r"(?m)^ react +\[=+ *\] +\d/8 ")
        for part in "hosts 1 up", "1 worker", "\nhosts\n", "\ntenants\n", "\ncache\n", "\nworkers\n", "\nwarnings\n", " one ":
            self.assertIn(part, top.stdout)
        piped = subprocess.run(f"{self.program} top --once -c {self.config} | head -1", shell=True, capture_output=True, text=True, timeout=60)
        self.assertEqual(piped.stderr, "")
        self.assertIn("warmpool top", piped.stdout)

    def test_bad_input_is_one_sentence(self):
        for arguments, code, why in ((("--interval", "x"), 2, "--interval must be 0.5 to 3600 seconds, not x"),
                                     (("--interval", "0"), 2, "--interval must be"), (("--interval", "nan"), 2, "--interval must be"), (("pool",), 2, "too many"),
                                     (("--once", "-o", "redis.url=unix:///nonexistent"), 1, "no Redis answers at unix:///nonexistent"),
                                     (("--once", "-o", "redis.prefix=other"), 1, "")):
            top = self.system.cli("top", *arguments)
            self.assertEqual(len(top.stderr.splitlines()), 1 if why else 0, top.stderr)
            self.assertEqual(top.returncode, code if why else 0, top.stderr)
            self.assertIn(why, top.stderr)
        away = self.system.cli("top", "--once", "-o", "kafka.bootstrap.servers=127.0.0.1:1")
        self.assertEqual(away.returncode, 0, away.stderr)
        self.assertRegex(away.stdout, "(?m)^ ! Kafka at 127.0.0.1:1 does not answer")
        self.assertIn(" react", away.stdout)


class WithoutRedis(WithTop):
    def test_redis_goes_and_comes_back(self):
        terminal = self.terminal("TERM=tmux-256color")
        self.start(terminal)
        self.system.redis.kill()
        screen = terminal.wait(r"^ ! .*(Redis|redis).*")
        self.assertTrue(line_of(screen, "react"), screen)  # the figures of before
        self.system.redis.start()
        wait_until(lambda: not re.search("^ ! .*[Rr]edis", terminal.screen(), re.M), lambda: terminal.screen())
        self.system.workers[0].wait_ready()
        client = Client(self.system)
        client.acquire("back")
        terminal.wait(r"^.react .* 1 +\d+ +0 +- ")
        client.send("container-release", {"request_id": "back", "philosophy": "react"})
        self.system.wait_pool("react", leased=0)
        terminal.keys("q")

    def test_an_end_does_not_wait_for_a_redis_that_hangs(self):
        terminal = self.terminal("TERM=tmux-256color")
        before = terminal.settings()
        self.start(terminal)
        os.kill(self.system.redis.process.pid, signal.SIGSTOP)
        try:
            stays(lambda: "Enter open" in terminal.screen(), "the screen is there", seconds=1)
            terminal.keys("?")
            terminal.wait("Bars:")  # keys are answered all the same
            terminal.keys("q")
            self.assert_restored(terminal, before, "q")
        finally:
            os.kill(self.system.redis.process.pid, signal.SIGCONT)


class WithoutKafka(WithTop):
    """On the embedded broker, which knows no times and cannot search by them."""
    options = {"topics.prefix": ""}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="warmpool-broker-")
        cls.addClassCleanup(folder.cleanup)
        address = os.path.join(folder.name, "address")
        cls.broker = subprocess.Popen([WARMPOOL, "broker", "--listen-file", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      preexec_fn=die_with_parent)
        cls.addClassCleanup(cls.stop_broker)
        wait_until(lambda: os.path.exists(address) and os.path.getsize(address), "the broker listens")
        with open(address) as file:
            cls.kafka = types.SimpleNamespace(bootstrap=file.read().strip())
        super().setUpClass()

    @classmethod
    def stop_broker(cls):
        cls.broker.kill()
        cls.broker.wait()

    def test_kafka_goes(self):
        terminal = self.terminal("TERM=tmux-256color")
        before = terminal.settings()
        self.start(terminal)
        terminal.wait("lag 0  1 worker$")
        self.stop_broker()
        screen = terminal.wait("^ ! Kafka at 127.0.0.1:.* is away")
        self.assertTrue(line_of(screen, "react"), screen)
        self.assertIn("lag not known", screen)
        terminal.keys("q")
        self.assert_restored(terminal, before, "q", status=0)


if __name__ == "__main__":
    unittest.main()
