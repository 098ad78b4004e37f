"""A Prometheus of the test's own, with warmpool's alert rules."""
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from system import ROOT, die_with_parent, wait_until

RULES = ROOT / "packaging" / "prometheus" / "alerts.yml"


class Prometheus:
    """Debian's, with a configuration that scrapes one worker every second."""

    def __init__(self, folder, target):
        self.log = open(os.path.join(folder, "prometheus.log"), "wb")
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
                       "scrape_configs": [{"job_name": "warmpool", "static_configs": [{"targets": [target]}]}]}, file)
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data", "--web.listen-address=127.0.0.1:0"],
            stdout=self.log, stderr=self.log, preexec_fn=die_with_parent)
        self.url = wait_until(self.find_url, self.read_log)

    def read_log(self):
        with open(self.log.name) as file:
            return file.read()

    def find_url(self):
        """The address that it has chosen: of its listening sockets."""
        assert self.process.poll() is None, self.read_log()
        sockets = {os.readlink(f"/proc/{self.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.process.pid}/fd")
                   if os.path.islink(f"/proc/{self.process.pid}/fd/{fd}")}
        with open("/proc/net/tcp") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    return f"http://127.0.0.1:{int(fields[1].split(':')[1], 16)}"
        return None

    def get(self, path, **parameters):
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return {"error": error.read().decode()}  # a wrong query, or it is not ready yet
        except OSError as error:
            return {"error": str(error)}

    def query(self, expression):
        return self.get("/api/v1/query", query=expression)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
