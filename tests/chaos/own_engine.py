"""A Docker engine of a test's own, to be killed and started again: dockerd with its own data, socket and containerd, in a network
namespace of its own (an engine without a default bridge takes that of others away). It ends with its test, also with a killed one,
and leaves no container and no mount behind."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from load import wait_until
from docker_system import SKIPPED
from engine_api import EngineApi, Refused

SCRIPT = Path(__file__).resolve().parents[1] / "support" / "engine"


def processes_of(folder):
    """What was started in the folder: dockerd, its containerd, and what keeps the containers."""
    marks = (f"\0{folder}/".encode(), f"\0-namespace\0{os.path.basename(folder)}\0".encode())
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:  # it has just ended
            continue
        if any(mark in line for mark in marks):
            found.append(int(path.parent.name))
    return found


def children_of(pids):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", ",".join(map(str, pids))], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in listed.split()]


def end(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def remove(folder):
    """All that is left of the engine in the folder, whatever became of it."""
    there = processes_of(folder)
    end(there + (children_of(there) if there else []))
    wait_until(lambda: not processes_of(folder), "its processes end")
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[1].startswith(f"{folder}/")]
    for mount in reversed(mounts):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


class OwnEngine:
    def __init__(self, *options):
        self.folder = os.path.join(tempfile.gettempdir(), f"warmpool-engine-{uuid.uuid4().hex[:8]}")
        os.mkdir(self.folder, 0o700)
        self.url, self.options, self.process = f"unix://{self.folder}/socket", options, None
        self.keeper = subprocess.Popen([sys.executable, "-B", __file__, "--keep", os.path.basename(self.folder)], stdin=subprocess.PIPE,
                                       start_new_session=True)
        try:
            self.start()
            self.run("image")
        except BaseException:
            self.close()
            raise

    def run(self, *words, check=True):
        """tests/support/engine at this engine."""
        return self.call(*words, check=check).stdout

    def call(self, *words, check=False):
        return subprocess.run([SCRIPT, *words], env={**os.environ, "DOCKER_HOST": self.url}, check=check, capture_output=True, text=True)

    def log(self):
        return Path(self.folder, "log").read_text(errors="replace")

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"dockerd ended with {self.process.returncode}: {self.log().strip().splitlines()[-1:]}")
        return self.call("ping").returncode == 0

    def start(self):
        """On the same data it finds the containers that it had."""
        name = os.path.basename(self.folder)
        Path(self.folder, "pid").unlink(missing_ok=True)  # of one that was killed
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/pid",
                 "-H", self.url, "--bridge=none", "--iptables=false", "--ip-masq=false", "--containerd-namespace", name,
                 "--containerd-plugins-namespace", f"{name}-plugins", *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.answers, "dockerd answers")
        return self

    def kill(self):
        """kill -9: its containers run on until it is back, and without --live-restore it ends them then."""
        self.process.kill()
        self.process.wait()
        pid = Path(self.folder, "exec/containerd/containerd.pid")  # ends with it, a little later; the next one would wait for its zombie
        if pid.exists():
            wait_until(lambda: not os.path.exists(f"/proc/{pid.read_text()}/exe"), "its containerd ends")
            pid.unlink()

    def stop(self):
        """SIGTERM: without --live-restore it ends its containers."""
        self.process.terminate()
        self.process.wait()

    def freeze(self):
        """It answers nothing, says nothing and closes nothing, until thaw()."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def remove_containers(self):
        """As far as it does: the keeper ends what is left."""
        api = EngineApi(self.url, 30)
        with suppress(Refused):
            for row in api.containers():
                with suppress(Refused):
                    api.ask("DELETE", f"/containers/{row['Id']}?force=1&v=1")

    def close(self):
        if self.process and self.process.poll() is None:
            self.thaw()
            self.remove_containers()
            self.process.terminate()
        self.keeper.stdin.close()
        self.keeper.wait()
        if self.process:
            self.process.wait()


def why_not():
    """Why no engine can be started here, None when one can."""
    if not shutil.which("dockerd") or not shutil.which("unshare"):
        return "the programs dockerd and unshare"
    if os.geteuid() != 0:
        return "root, who may start dockerd"
    try:
        OwnEngine().close()
    except (AssertionError, RuntimeError) as error:
        return f"a dockerd that can be started here: {error}"
    return None


def need_engine():
    """Ends the program as skipped where no engine can be started."""
    missing = why_not()
    if missing:
        print(f"skipped: a Docker engine of its own is needed here, and for that {missing}", file=sys.stderr)
        sys.exit(SKIPPED)


if __name__ == "__main__" and sys.argv[1] == "--keep":
    sys.stdin.buffer.read()  # ends with who started us
    remove(os.path.join(tempfile.gettempdir(), sys.argv[2]))
