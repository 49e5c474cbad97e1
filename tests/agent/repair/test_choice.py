"""The patch that most kinds of edit agree on is chosen, and doubt is said in its confidence."""

from __future__ import annotations

import pytest

from agent.repair.choice import CONFIDENT, clusters, confidence


def behaviour(cluster: int, held: int = 0) -> dict[str, int]:
    return {"cluster": cluster, "held": held}


def test_a_patch_that_holds_more_examples_beats_a_bigger_cluster() -> None:
    patches = [("cmp", 5), ("const-int", 5), ("guard", 5)]

    first, second = clusters(patches, [behaviour(0, 1), behaviour(0, 1), behaviour(1, 2)])

    assert first.members == (2,)
    assert (first.held, first.share) == (2, 1.0)
    assert second.share == 0.0


def test_agreement_of_different_operators_weighs_more_than_a_flood_of_one() -> None:
    patches = [("guard", 5)] * 20 + [("cmp", 5), ("const-int", 5)]

    first, second = clusters(patches, [behaviour(0)] * 20 + [behaviour(1)] * 2)

    assert set(first.members) == {20, 21}
    assert first.share > 0.9
    assert len(second.members) == 20


def test_shares_add_up_to_one() -> None:
    patches = [("cmp", 5), ("wrap", 5), ("var", 5), ("method", 5)]

    found = clusters(patches, [behaviour(0), behaviour(1), behaviour(1), behaviour(2)])

    assert sum(c.share for c in found) == pytest.approx(1.0)
    assert found == sorted(found, key=lambda c: -c.share)


def test_of_patches_that_do_the_same_the_shortest_of_a_trusted_operator_is_shown() -> None:
    patches = [("const-int", 30), ("arith", 12), ("guard", 3)]

    (only,) = clusters(patches, [behaviour(0)] * 3)

    assert only.members == (1, 0, 2)


def test_where_every_kind_of_edit_does_the_same_the_code_is_taken_out() -> None:
    kinds = ("const-bool", "negate", "swap-args", "unwrap", "const-str")
    patches = [*((kind, 3) for kind in kinds), ("drop-branch", 40)]

    (only,) = clusters(patches, [behaviour(0)] * len(patches))
    assert only.members[0] == 5

    (few,) = clusters([patches[0], patches[5]], [behaviour(0)] * 2)
    assert few.members[0] == 0


def test_patches_that_could_not_be_compared_are_clusters_of_their_own() -> None:
    found = clusters([("cmp", 5), ("cmp", 5)], [behaviour(-1), behaviour(-1)])

    assert [c.members for c in found] == [(0,), (1,)]
    assert [c.share for c in found] == [0.5, 0.5]


def sure(operator: str, **facts: int) -> float:
    patches = [(operator, 5)]
    (only,) = clusters(patches, [behaviour(0, facts.pop("held", 0))])
    return confidence(only, patches, **{"red": 3, "seeds": 10, "inputs": 40, **facts})


def test_the_only_behaviour_of_a_trusted_operator_is_trusted() -> None:
    assert sure("method") == 1.0


@pytest.mark.parametrize(
    ("operator", "facts"),
    [
        ("method", {"red": 1, "seeds": 2}),
        ("guard", {"red": 1, "seeds": 2}),
        ("cond-extend", {}),
        ("add-arg", {}),
        ("repeat", {}),
        ("guard", {"inputs": 0}),
        ("wrap", {"inputs": 0}),
        ("guard+guard", {}),
    ],
)
def test_little_behind_a_patch_makes_it_a_proposal(operator: str, facts: dict[str, int]) -> None:
    assert sure(operator, **facts) < CONFIDENT


def test_another_built_in_function_is_less_of_a_witness_than_a_neighbouring_method() -> None:
    patches = [("method", 5), ("call-name", 5)]

    first, second = clusters(patches, [behaviour(0), behaviour(1)])

    assert first.members == (0,)
    assert first.share > CONFIDENT > second.share
    assert sure("call-name", red=1, seeds=2) < CONFIDENT
    assert sure("call-name", inputs=0) < CONFIDENT


def test_one_failing_test_with_an_example_that_holds_is_enough() -> None:
    assert sure("method", red=1, seeds=2, held=1) == 1.0


@pytest.mark.parametrize(
    ("operators", "trusted"),
    [
        (("ingredient", "elif-copy"), False),
        (("aug-assign", "call-name", "wrap"), False),
        (("ingredient", "cmp"), True),
        (("wrap", "const-str"), True),
        (("aug-op",), True),
    ],
)
def test_one_failing_test_alone_needs_an_operator_that_is_mostly_right(
    operators: tuple[str, ...], trusted: bool
) -> None:
    patches = [(operator, 5) for operator in operators]
    (only,) = clusters(patches, [behaviour(0)] * len(patches))

    assert (confidence(only, patches, red=1, seeds=12, inputs=50) >= CONFIDENT) is trusted
    assert confidence(only, patches, red=2, seeds=12, inputs=50) >= CONFIDENT
