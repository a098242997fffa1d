from trainer.endings import EXIT_CODES, FAILED


def test_no_two_endings_share_an_exit_code_and_only_success_is_0() -> None:
    codes = [*EXIT_CODES.values(), FAILED]
    assert len(set(codes)) == len(codes)
    assert [ending for ending, code in EXIT_CODES.items() if code == 0] == ["published"]
    # Those of Python's own errors, of wrong arguments, and of settings.
    assert not set(codes) & {1, 2, 78}
