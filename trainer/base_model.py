"""Where the files of the base model are."""

from pathlib import Path

from trainer.adapters import AdapterError


def base_files(base: str) -> Path:
    """The base model's folder: `base` itself, or its copy from the model hub."""
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import snapshot_download  # here: it takes longer than all the rest

    try:
        return Path(snapshot_download(base))  # vLLM needs all of it, too
    except (OSError, ValueError) as error:
        raise AdapterError(
            f"model is {base!r}: no folder, and not to be had from the model hub "
            f"({type(error).__name__})"
        ) from error
