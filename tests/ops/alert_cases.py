"""What Prometheus scrapes of a loop that is well, and what of it differs where an alert fires.

Values as promtool writes them, one a minute: `0+60x90` begins at 0 and grows by 60, 90 times.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Series = Mapping[str, str | None]  # None: there is none

_S, _F, _T, _O = (f"thumbwheel_{room}" for room in ("serving", "feedback", "trainer", "ops"))
GATEWAY, WORKER, TRAINER, OPS, ENGINE = (
    f'job="{job}",instance="{job}:1"' for job in ("gateway", "worker", "trainer", "ops", "vllm")
)
_BUCKET = f"{_S}_first_token_seconds_bucket"
_STAND_BY = 'job="ops",instance="ops:2"'


def requests(adapter: str, outcome: str) -> str:
    return f'{_S}_requests_total{{{GATEWAY},adapter="{adapter}",outcome="{outcome}"}}'


def first_token(most: str) -> str:
    return f'{_BUCKET}{{{GATEWAY},adapter="model-v1",le="{most}"}}'


def gain(bound: str) -> str:
    return f'{_O}_gain{{{OPS},of="thumbs",bound="{bound}"}}'


def kl(bound: str) -> str:
    return f'{_O}_kl_nats{{{OPS},to="stable",bound="{bound}"}}'


def rounds(outcome: str) -> str:
    return f'{_T}_rounds_total{{{TRAINER},outcome="{outcome}"}}'


def guardrail(name: str) -> str:
    return f'{_O}_guardrail_broken{{{OPS},guardrail="{name}"}}'


THUMBS = f'{_S}_verdicts_total{{{GATEWAY},kind="thumb"}}'
UP = f"up{{{GATEWAY}}}"
REVISION = f"{_S}_split_revision{{{GATEWAY}}}"
SPOOL = f"{_S}_spool_waiting_bytes{{{GATEWAY}}}"
SPOOL_MOST = f"{_S}_spool_max_bytes{{{GATEWAY}}}"
LOST = f"{_S}_completions_lost_total{{{GATEWAY}}}"
FALLBACKS = f'{_S}_canary_fallbacks_total{{{GATEWAY},canary="model-v2"}}'
ENGINE_UP = f'{_S}_engine_up{{{GATEWAY},engine="http://vllm:1"}}'
FAILED_TURNS = f"{_F}_failed_turns_total{{{WORKER}}}"
LAG = f'{_F}_lag_records{{{WORKER},topic="verdicts",partition="0"}}'
DEAD = f'{_F}_dead_letters_total{{{WORKER},topic="verdicts"}}'
MISSED = f'{_F}_missed_records_total{{{WORKER},topic="verdicts"}}'
EXAMPLES = f'{_F}_examples_total{{{WORKER},kind="thumb"}}'
QUARANTINED = f'{_F}_quarantined_total{{{WORKER},kind="thumb"}}'
SINCE = f"{_T}_since_timestamp_seconds{{{TRAINER}}}"
ENDED = f'{_T}_last_ended_timestamp_seconds{{{TRAINER},outcome="published"}}'
LESSONS = f"{_T}_waiting_lessons{{{TRAINER}}}"
RUNNING = f"{_T}_round_running{{{TRAINER}}}"
BEGAN = f"{_T}_round_began_timestamp_seconds{{{TRAINER}}}"
ROUND_SUM = f"{_T}_round_seconds_sum{{{TRAINER}}}"
ROUND_COUNT = f"{_T}_round_seconds_count{{{TRAINER}}}"
SHARE = f"{_O}_canary_share_ratio{{{OPS}}}"
BUDGET = f'{_O}_kl_budget_nats{{{OPS},to="stable"}}'
SCORE_AGE = f"{_O}_score_age_seconds{{{OPS}}}"
MISMATCH = f"{_O}_sample_ratio_mismatch{{{OPS}}}"
REFUSED = f'{_O}_moves_total{{{OPS},action="refused",by_hand="no"}}'
WORSE = f"{_O}_worse_gain{{{OPS}}}"
PAUSED = f"{_O}_paused{{{OPS}}}"
TICKED = f"{_O}_last_tick_timestamp_seconds{{{OPS}}}"
FAILED_TICKS = f"{_O}_failed_ticks_total{{{OPS}}}"
LEADS = f"{_O}_leads{{{OPS}}}"
STANDS_BY = f"{_O}_leads{{{_STAND_BY}}}"
OPS_REVISION = f"{_O}_split_revision{{{OPS}}}"
RELEASE = f"{_O}_release_revision{{{OPS}}}"  # 0 where there is none
TOLD = f"{_O}_release_told{{{OPS}}}"
NOT_TOLD = f"{_O}_release_failures_total{{{OPS}}}"
TO_COPY = f"{_O}_to_copy{{{OPS}}}"
VLLM_RUNNING = f"vllm:num_requests_running{{{ENGINE}}}"
VLLM_WAITING = f"vllm:num_requests_waiting{{{ENGINE}}}"
VLLM_CACHE = f"vllm:kv_cache_usage_perc{{{ENGINE}}}"

# Nobody has asked for anything yet. Counters with labels are not there before they count.
IDLE: Series = {
    **{f"up{{{who}}}": "1+0x{n}" for who in (GATEWAY, WORKER, TRAINER, OPS, ENGINE)},
    **{name: "1+0x{n}" for name in (REVISION, OPS_REVISION, ENGINE_UP, LEADS)},
    **{name: "0+0x{n}" for name in (SPOOL, LOST, FAILED_TURNS, FAILED_TICKS, STANDS_BY, RUNNING)},
    **{name: "0+0x{n}" for name in (RELEASE, TOLD, NOT_TOLD, TO_COPY)},
    **{name: "0+0x{n}" for name in (SHARE, PAUSED, SINCE, ROUND_SUM, ROUND_COUNT, MISMATCH)},
    **{rounds(how): "0+0x{n}" for how in ("published", "gated", "failed", "died")},
    **{name: "0+0x{n}" for name in (VLLM_RUNNING, VLLM_WAITING, VLLM_CACHE, guardrail("errors"))},
    BUDGET: "5+0x{n}",
    SPOOL_MOST: "1000000000+0x{n}",
    SCORE_AGE: "NaN+0x{n}",
    TICKED: "0+{step}x{n}",
}
# Users come, and rate; a round ends each hour; a canary is on trial and does well.
WELL: Series = {
    **IDLE,
    requests("model-v1", "ok"): "0+100x{n}",
    requests("model-v1", "engine_error"): "0+1x{n}",
    requests("model-v1", "bad_request"): "0+40x{n}",
    requests("model-v2", "ok"): "0+10x{n}",
    **{first_token(most): "0+100x{n}" for most in ("1.0", "5.0", "10.0", "+Inf")},
    THUMBS: "0+20x{n}",
    SPOOL: "20000+0x{n}",
    LAG: "30+0x{n}",
    EXAMPLES: "0+20x{n}",
    QUARANTINED: "0+1x{n}",
    LESSONS: "0+3x{n}",
    ENDED: "0+{step}x{n}",
    rounds("published"): "0+1x{n}",
    SHARE: "0.05+0x{n}",
    gain("low"): "-0.02+0x{n}",
    gain("high"): "0.1+0x{n}",
    WORSE: "0+0x{n}",
    kl("low"): "2+0x{n}",
    kl("estimate"): "2.5+0x{n}",
    SCORE_AGE: "20+0x{n}",
    # What a controller saw when it led is not so any more.
    f'{_O}_gain{{{_STAND_BY},of="thumbs",bound="high"}}': "-0.3+0x{n}",
    f"{_O}_paused{{{_STAND_BY}}}": "1+0x{n}",
    VLLM_RUNNING: "8+0x{n}",
    VLLM_CACHE: "0.6+0x{n}",
}


@dataclass(frozen=True)
class Case:
    """The alert fires where a loop that is well differs by `broken`, and not where by `nearly`."""

    alert: str
    broken: Series
    nearly: Series = field(default_factory=dict)
    minutes: int = 90
    step_minutes: int = 1


_DAYS = 50 * 60
_STALE: Series = {
    SHARE: "0+0x{n}",
    ENDED: "0+0x{n}",
    LESSONS: "300+0x{n}",
    rounds("published"): "1+0x{n}",
}
_CANARY: Series = {SHARE: "0.05+0x{n}"}

CASES = (
    Case(
        "ErrorBurst",
        {requests("model-v1", "engine_error"): "0+0x60 10+10x30"},
        {requests("model-v1", "bad_request"): "0+0x60 100+100x30"},
    ),
    Case(
        "AdapterErrors",
        {requests("model-v2", "engine_error"): "0+1x{n}"},
        {requests("model-v2", "ok"): "0+1x{n}", requests("model-v2", "failed"): "0+1x{n}"},
    ),
    Case("AdapterNotLoaded", {FALLBACKS: "_x85 2+1x5"}, {FALLBACKS: "_x88 1+1x1"}),
    Case("AdapterNotLoaded", {FALLBACKS: "_x85 5+0x5"}, {FALLBACKS: "_x85 1+0x5"}),
    Case("AdapterNotLoaded", {FALLBACKS: "5+0x85 10+1x5"}, {FALLBACKS: "5+0x{n}"}),
    Case(
        "FirstTokenSlow",
        {first_token("1.0"): "0+80x{n}", first_token("5.0"): "0+90x{n}"},
        {first_token("1.0"): "0+80x{n}"},
    ),
    Case("CompletionsLost", {LOST: "0+0x85 1+0x5"}, {LOST: "7+0x{n}"}),
    Case("SpoolFilling", {SPOOL: "0+5000000x{n}"}, {SPOOL: "0+1000000x{n}"}),
    Case("VerdictBurst", {THUMBS: "0+5x84 500+80x6"}, {THUMBS: "0+20x84 1680+60x6"}),
    Case("VerdictBurst", {THUMBS: "0+5x84 500+80x6"}, {THUMBS: "_x60 0+80x30"}),
    Case("SplitDiffers", {OPS_REVISION: "2+0x{n}"}, {OPS_REVISION: "1+0x89 2+0x1"}),
    Case(
        "SplitDiffers",
        {f'{_S}_split_revision{{job="gateway",instance="gateway:2"}}': "0+0x{n}"},
        {f'{_S}_split_revision{{job="gateway",instance="gateway:2"}}': "1+0x{n}"},
    ),
    Case("GatewayGone", {REVISION: "1+0x80"}),
    Case("LogAway", {FAILED_TURNS: "0+0x80 1+1x10"}, {FAILED_TURNS: "0+0x85 1+0x5"}),
    Case("LogAway", {SPOOL: "0+200000x{n}"}, {SPOOL: "0+0x88 2000000+0x2"}),
    Case("WorkerGone", {FAILED_TURNS: "0+0x70"}),
    Case("WorkerLag", {LAG: "0+1000x{n}"}, {LAG: "9000+0x{n}"}),
    Case("DeadLetters", {DEAD: "_x85 1+0x5"}, {DEAD: "4+0x{n}"}),
    Case("DeadLetters", {DEAD: "4+0x85 5+0x5"}, {DEAD: "4+0x85 0+0x5"}),
    Case("MissedRecords", {MISSED: "_x85 300+0x5"}, {MISSED: "300+0x{n}"}),
    Case("QuarantineGrowing", {QUARANTINED: "0+4x{n}"}, {QUARANTINED: "0+1x{n}"}),
    Case("TrainerGone", {SINCE: "0+0x60"}),
    Case("TrainerStale", _STALE, {**_STALE, **_CANARY}, _DAYS, 5),
    Case("TrainerStale", _STALE, {**_STALE, LESSONS: "150+0x{n}"}, _DAYS, 5),
    Case("TrainerStale", _STALE, {**_STALE, PAUSED: "1+0x{n}"}, _DAYS, 5),
    Case(
        "RoundsFailing",
        {rounds("published"): "4+0x{n}", rounds("died"): "0+0x50 1+0x10 2+0x30"},
        {rounds("died"): "0+0x50 1+0x10 2+0x30"},
    ),
    Case(
        "GatesRefuse",
        {rounds("published"): "4+0x{n}", rounds("gated"): "0+0x20 1+0x10 2+0x10 3+0x50"},
        {rounds("published"): "4+0x{n}", rounds("gated"): "0+0x20 1+0x10 2+0x60"},
    ),
    Case(
        "RoundSlow",
        {BEGAN: "60+0x{n}", ROUND_SUM: "1200+0x{n}", ROUND_COUNT: "3+0x{n}"},
        {BEGAN: "60+0x{n}", ROUND_SUM: "9000+0x{n}", ROUND_COUNT: "3+0x{n}"},
    ),
    Case("CanaryWorse", {gain("high"): "-0.01+0x{n}"}, {gain("low"): "-0.3+0x{n}"}),
    Case(
        "CanaryWorse",
        {gain("high"): "-0.01+0x{n}"},
        {gain("high"): "-0.01+0x{n}", SHARE: "0+0x{n}"},
    ),
    Case(  # it need be no worse by more than 2 points; who stands by knows of no rule yet
        "CanaryWorse",
        {gain("high"): "-0.03+0x{n}", WORSE: "-0.02+0x{n}"},
        {
            gain("high"): "-0.01+0x{n}",
            WORSE: "-0.02+0x{n}",
            f"{_O}_worse_gain{{{_STAND_BY}}}": "0+0x{n}",
        },
    ),
    Case(
        "CanaryErrors",
        {guardrail("errors"): "1+0x{n}"},
        {guardrail("errors"): "1+0x{n}", SHARE: "0+0x{n}"},
    ),
    Case("KLOverBudget", {kl("low"): "5.1+0x{n}"}, {kl("estimate"): "5.1+0x{n}"}),
    Case("KLNearBudget", {kl("estimate"): "4.1+0x{n}"}, {kl("estimate"): "3.9+0x{n}"}),
    Case("SampleRatioMismatch", {MISMATCH: "1+0x{n}"}),
    Case("GuardrailBroken", {guardrail("refusals"): "1+0x{n}"}),
    Case("AdapterRefused", {REFUSED: "_x85 1+0x5"}, {REFUSED: "3+0x{n}"}),
    Case("CanaryNotScored", {SCORE_AGE: "NaN+0x{n}"}, {SCORE_AGE: "1700+0x{n}"}),
    Case(
        "CanaryNotScored",
        {SCORE_AGE: "1900+0x{n}"},
        {SCORE_AGE: "1900+0x{n}", SHARE: "0+0x{n}"},
    ),
    Case("CanaryStuck", {}, {SHARE: "0+0x400 0.05+0x200"}, _DAYS, 5),
    Case("CanaryStuck", {}, {SHARE: "0.05+0x200 0.25+0x200 0.5+0x200"}, _DAYS, 5),
    Case("AutomationPaused", {PAUSED: "1+0x{n}"}, {PAUSED: "1+0x280 0+0x320"}, _DAYS, 5),
    Case("TicksFailing", {TICKED: "0+60x80 4800+0x10"}, {TICKED: "0+60x87 5220+0x3"}),
    Case("NoLeader", {LEADS: "0+0x{n}"}),
    Case("ReleaseNotTold", {RELEASE: "7+0x{n}"}, {RELEASE: "7+0x{n}", TOLD: "1+0x76 0+0x13"}),
    Case("ReleaseNotTold", {NOT_TOLD: "0+2x{n}"}, {NOT_TOLD: "0+0x85 1+1x5"}),
    Case("AdaptersNotCopied", {TO_COPY: "2+0x{n}"}, {TO_COPY: "0+0x80 2+0x10"}),
    Case("TwoLeaders", {STANDS_BY: "1+0x{n}"}),
    Case("OpsGone", {LEADS: "1+0x80", STANDS_BY: "0+0x80"}, {LEADS: None, STANDS_BY: "1+0x{n}"}),
    Case("EngineGone", {VLLM_RUNNING: "8+0x70"}),
    Case("EngineDown", {ENGINE_UP: "0+0x{n}"}, {ENGINE_UP: "1+0x89 0+0x1"}),
    Case("EngineQueue", {VLLM_WAITING: "60+0x{n}"}, {VLLM_WAITING: "40+0x{n}"}),
    Case("EngineCacheFull", {VLLM_CACHE: "0.97+0x{n}"}, {VLLM_CACHE: "0.9+0x{n}"}),
)
