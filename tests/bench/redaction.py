"""What redaction costs: `python -m tests.bench.redaction`. Each text is of 4,000 characters.

Prints the median and the 99th percentile of many runs, in time of the processor: what else runs on
the machine does not count.
"""

import time

from feedback.privacy import BUILT_IN, redacted

RUNS, LENGTH = 5_000, 4_000
PROSE = "The kettle holds 1.7 litres and costs 29.90 EUR since 2026-11-21, or 3 for 80. "
PERSONAL = (
    "Write to ann@example.com or call +49 30 1234567; the card is 4111 1111 1111 1111, the "
    "account DE89 3704 0044 0532 0130 00, and the server answers at 192.168.1.17. "
)
TEXTS = {
    "words alone": "Boil the egg for eight minutes, then rinse it with cold water. ",
    "words and numbers": PROSE,
    "one in five sentences is personal": PROSE * 8 + PERSONAL,
    "nothing but what is personal": PERSONAL,
    "made to be slow": "4111 ",
}


def main() -> None:
    for name, text in TEXTS.items():
        taken = sorted(_seconds(_of_length(text)) for _ in range(RUNS))
        p50, p99 = taken[RUNS // 2], taken[RUNS * 99 // 100]
        print(f"{name:35} p50 {p50 * 1e6:7,.0f} us   p99 {p99 * 1e6:7,.0f} us")


def _of_length(text: str) -> str:
    return (text * (LENGTH // len(text) + 1))[:LENGTH]


def _seconds(text: str) -> float:
    messages = [{"role": "user", "content": text}]
    began = time.thread_time()
    redacted(BUILT_IN["common"], messages)
    return time.thread_time() - began


if __name__ == "__main__":
    main()
