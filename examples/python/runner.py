#!/usr/bin/env python3
"""Runs one job in a warm container: acquire, tool metadata from the cache, the job, usage, release. See README.md."""
import asyncio
import json
import os
import subprocess
import sys
import time
import uuid

from warmpool_client import AsyncClient, KafkaUnavailable, LeaseLost, NoAnswer, Rejected

JOB = os.environ.get("JOB_ID") or str(uuid.uuid4())
COMMAND = os.environ.get("COMMAND", "echo hello from $WARMPOOL_CONTAINER_ID")
PHILOSOPHY = os.environ.get("PHILOSOPHY", "react")
AGENT = os.environ.get("AGENT_ID", "agent-7")
TIMEOUT = float(os.environ.get("TIMEOUT_MS", "30000")) / 1000
ATTEMPTS = int(os.environ.get("ATTEMPTS", "3"))
EXIT = {Rejected: 3, NoAnswer: 4, LeaseLost: 5, KafkaUnavailable: 6}


def say(text):
    print(text, flush=True)


async def run_in(lease):
    """The job, in the container: its output, and what it used."""
    if lease.address.startswith("container:"):  # a Docker engine, and no network
        words = ["docker", "exec", lease.address.removeprefix("container:"), "sh", "-c", COMMAND]
        process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        return {"output": output.decode(), "exit": process.returncode}
    reader, writer = await asyncio.open_unix_connection(os.path.join(os.environ.get("AGENTS", "/tmp/agents"), lease.container_id + ".sock"))
    try:
        writer.write(COMMAND.encode())
        writer.write_eof()
        return json.loads(await reader.read())
    finally:
        writer.close()


async def tool_metadata(warmpool):
    """From the shared cache; whoever misses it puts it there."""
    found = await warmpool.cache_get("shell", namespace="tool")
    say(f"tool metadata: {'hit' if found else 'miss'}")
    if found is None:
        found = json.dumps({"name": "shell", "arguments": ["command"]}).encode()
        await warmpool.cache_set("shell", found, namespace="tool")
    return json.loads(found)


async def attempt(warmpool, request_id):
    async with warmpool.acquire(PHILOSOPHY, agent_id=AGENT, request_id=request_id, timeout=TIMEOUT) as lease:
        say(f"assigned: {lease.container_id} {'warm' if lease.assignment.warm_start else 'cold'} epoch {lease.epoch}")
        await tool_metadata(warmpool)
        began = time.monotonic()
        try:
            result = await run_in(lease)
        except (OSError, ValueError) as error:
            say(f"interrupted: {error or type(error).__name__}")
            result = None
        if result is None or result["exit"]:
            # Perhaps its container has ended. Then the notice comes within moments, and interrupts this.
            await asyncio.sleep(warmpool.grace)
        if result is None:
            raise ValueError("the container could not be used, though nobody says that it was lost")
        say(f"output: {result['output'].strip()}")
        # The record's id makes a job that is run again after a crash count once.
        await warmpool.record_usage(PHILOSOPHY, agent_id=AGENT, execution_time=time.monotonic() - began, record_id=request_id,
                                    cpu_percent=result.get("cpu_percent"), memory_mb=result.get("memory_mb"))
        return result["exit"]


async def run_job():
    """Another attempt is another request. Its id follows from the job's, so a restarted runner goes on with the same one."""
    async with AsyncClient(os.environ.get("KAFKA", "localhost:9092"), topics_prefix=os.environ.get("TOPICS_PREFIX", ""),
                           wire=os.environ.get("WIRE", "json"), look_back=600, grace=float(os.environ.get("GRACE_MS", "10000")) / 1000) as warmpool:
        for number in range(1, ATTEMPTS + 1):
            try:
                return await attempt(warmpool, JOB if number == 1 else f"{JOB}.{number}")
            except Rejected as error:
                say(f"rejected: {error.reason}")
                if number == ATTEMPTS or error.retry_after is None:
                    raise
                await asyncio.sleep(error.retry_after)
            except LeaseLost as error:
                say(f"lost: {error.reason}")
                if number == ATTEMPTS:
                    raise
    raise ValueError("ATTEMPTS must be 1 or more")


def main():
    try:
        return asyncio.run(run_job())
    except tuple(EXIT) as error:
        print(f"runner: {error}", file=sys.stderr)
        return EXIT[type(error)]


if __name__ == "__main__":
    sys.exit(main())
