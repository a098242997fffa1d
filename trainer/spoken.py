"""What a model thinks before it speaks is no part of its answer. Pure."""

THOUGHT = "</think>"


def spoken(answer: str) -> str:
    return answer.rpartition(THOUGHT)[2].strip()
