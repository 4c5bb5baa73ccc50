"""What the metrics mean, in words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BATCH = r"(?:_b(?P<batch>\d+))?"
#: Each pattern with its meaning; {n} is what the group `n` matched.
_MEANINGS = (
    (r"quality/agreement", "Share of the examples on which it decides as the reference does."),
    (r"quality/(?P<n>.+)_drop", "How much worse {n} is than the reference's; negative is better."),
    (r"quality/(?P<n>.+)", "{n} on the examples, with the variant's own runtime."),
    (rf"latency/p50_ms{_BATCH}", "Time from input to output, median."),
    (rf"latency/p(?P<n>\d+)_ms{_BATCH}", "{n} of 100 runs take at most this long."),
    (rf"latency/p(?P<n>\d+)_ms_bound{_BATCH}", "p{n} with inputs and outputs left on the device."),
    (r"throughput/best_batch", "The batch size of the highest throughput."),
    (r"throughput/samples_per_s", "Examples a second, at the best batch size."),
    (rf"throughput/samples_per_s{_BATCH}", "Examples a second."),
    (r"server/max_rate_per_s", "Highest rate of random arrivals that keeps the latency bound."),
    (r"server/p(?P<n>\d+)_ms", "{n} of 100 requests at that rate are answered within this time."),
    (r"concurrent/.*_x(?P<n>\d+)", "Examples a second of {n} streams at once."),
    (r"startup/load_ms", "Reading the file and making it ready, once."),
    (r"startup/optimization_ms", "Optimizing the graph, once."),
    (r"startup/first_run_ms", "The first run, which often allocates and compiles."),
    (r"footprint/size_mb", "What it takes on disk, with external data."),
    (r"footprint/compressed_mb", "The same after gzip."),
    (r"footprint/weights_mb", "Of that the weights."),
    (r"footprint/host_peak_mb", "The most memory that its process ever held, libraries included."),
    (r"footprint/host_peak_above_baseline_mb", "The same without what an empty process holds."),
    (r"footprint/host_resident_mb", "What its process holds after loading."),
    (r"footprint/activations_mb", "What running takes on top of what is loaded."),
    (r"footprint/estimated_peak_mb", "Weights and activations by the shapes, before running."),
    (r"footprint/gpu_peak_mb", "The most memory on the GPU."),
    (r"footprint/gpu_reserved_mb", "What the allocator took from the GPU."),
    (r"footprint/gpu_in_use_mb", "What of that held values."),
    (r"footprint/largest_batch", "The largest batch that fits into the memory budget."),
    (r"placement/node_share", "Share of the nodes that ran on the device."),
    (r"placement/time_share", "Share of the time that was spent on the device."),
    (r"placement/copies", "Copies between the devices in one run."),
    (r"energy/j_per_1000", "Joules that 1,000 examples take."),
    (r"sparsity", "Share of zeros in the weights."),
    (r"parity/max_abs_error", "Largest difference from the outputs of its own source."),
)


def meaning(metric: str) -> str:
    """What a metric says, in a sentence; "" for one that is not known."""
    for form, words in _MEANINGS:
        found = re.fullmatch(form, metric)
        if found:
            groups = found.groupdict()
            batch = groups.get("batch")
            size = f" At batch {batch}." if batch else ""
            return words.format(n=groups.get("n", "")) + size
    return ""


def meanings(metrics: Iterable[str]) -> dict[str, str]:
    """Those of the metrics that are known, batch sizes left out, in the order given."""
    plain = dict.fromkeys(re.sub(r"_b\d+$", "", metric) for metric in metrics)
    return {metric: meaning(metric) for metric in plain if meaning(metric)}
