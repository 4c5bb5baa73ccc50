"""Traces checked against the Trace Event Format, and as Chromium's own developer tools read them."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

_PAGE = "devtools://devtools/bundled/devtools_app.html"
_READ = """
(async () => {
  const tools = await import("devtools://devtools/bundled/models/trace/trace.js");
  const bytes = Uint8Array.from(atob("%s"), letter => letter.charCodeAt(0));
  const trace = JSON.parse(new TextDecoder().decode(bytes));
  const model = tools.TraceModel.Model.createWithAllHandlers();
  await model.parse(trace.traceEvents, {isFreshRecording: false});
  const parsed = model.parsedTrace(0), found = {};
  for (const process of (parsed.data ?? parsed).Renderer.processes.values())
    for (const thread of process.threads.values()) found[thread.name] = thread.entries.length;
  return JSON.stringify(found);
})()
"""


def strictly_checked(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """The complete events, after a check of all that the format's definition asks for."""
    assert set(trace) == {"traceEvents", "displayTimeUnit", "otherData"}
    assert trace["displayTimeUnit"] == "ms"
    lanes = defaultdict(list)
    for event in trace["traceEvents"]:
        assert {"name", "cat", "ph", "ts", "pid", "tid"} <= set(event)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ph"] in ("X", "M")
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name")
            assert set(event["args"]) == {"name"}
        else:
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            lanes[event["tid"]].append(event)
    for events in lanes.values():
        _nest(events)
    return [event for event in trace["traceEvents"] if event["ph"] == "X"]


def _nest(events: list[dict[str, Any]]) -> None:
    """In whole nanoseconds, as Perfetto reads them, events of a thread nest or are apart."""
    ends: list[int] = []
    for event in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        start, end = round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)
        while ends and ends[-1] <= start:
            ends.pop()
        assert not ends or end <= ends[-1]
        ends.append(end)


def complete_events_as_devtools_reads(file: Path) -> dict[str, int]:
    """Name of a thread to the number of its events, from the Performance panel's own parser."""
    return asyncio.run(_read_by_chromium(file))


async def _read_by_chromium(file: Path) -> dict[str, int]:
    import aiohttp

    with tempfile.TemporaryDirectory() as profile:
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
        chromium = subprocess.Popen(
            [shutil.which("chromium") or "chromium", *options, f"--user-data-dir={profile}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            async with aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{_port(chromium)}/json/new?{_PAGE}"
                async with session.put(url) as answer:
                    page = await answer.json()
                async with session.ws_connect(
                    page["webSocketDebuggerUrl"], max_msg_size=0
                ) as socket:
                    return await _evaluated(socket, file)
        finally:
            chromium.kill()
            chromium.communicate()


def _port(chromium: subprocess.Popen[str]) -> str:
    assert chromium.stderr is not None
    for line in chromium.stderr:
        if found := re.search(r"ws://127\.0\.0\.1:(\d+)/", line):
            return found[1]
    raise AssertionError("Chromium did not start")


async def _evaluated(socket: Any, file: Path) -> dict[str, int]:
    script = _READ % base64.b64encode(file.read_bytes()).decode()
    asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
    for number in itertools.count(1):  # until the page has loaded
        await socket.send_json({"id": number, "method": "Runtime.evaluate", "params": asked})
        told: dict[str, Any] = {}
        while told.get("id") != number:
            told = await socket.receive_json()
        value = told.get("result", {}).get("result", {}).get("value")
        if isinstance(value, str):
            found: dict[str, int] = json.loads(value)
            return found
        assert number < 20, told
        await asyncio.sleep(0.5)
    return {}
