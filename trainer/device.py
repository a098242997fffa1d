"""Where a round computes, in which precision, and how much of a GPU's memory it may take."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainer.endings import RoundFailed
from trainer.plan import Plan


def device() -> torch.device:
    """The GPU of this process, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_of(plan: Plan) -> torch.dtype:
    """Of the base. Emulated bfloat16 would be slower than float32."""
    if plan.precision == "auto":
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(False)
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if plan.precision == "bfloat16" else torch.float32


@contextmanager
def within_share(plan: Plan) -> Iterator[None]:
    """All that this process computes; afterwards the memory is there for others again."""
    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.set_per_process_memory_fraction(plan.gpu_memory_share)
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RoundFailed(
            too_much(plan, torch.cuda.get_device_properties().total_memory)
        ) from error
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def too_much(plan: Plan, total: int) -> str:
    share = f"{plan.gpu_memory_share:g} of {total / 2**30:.0f} GiB"
    ways = [
        *(() if plan.checkpointing else ("set checkpointing",)),
        f"lower packed_tokens ({plan.packed_tokens}), batch_size ({plan.batch_size}) or "
        f"max_row_tokens ({plan.max_row_tokens})",
        *(() if plan.quantize else ("set quantize to 4bit",)),
        "raise gpu_memory_share",
    ]
    return f"out of GPU memory; gpu_memory_share is {share}. In the plan, {', or '.join(ways)}"
