from __future__ import annotations

import pytest

from mlflow_tfconv.exporters.explicit_einsum import explicit_equation


@pytest.mark.parametrize(
    ("equation", "shapes", "explicit"),
    [
        ("...i,ij->...j", [(-1, 3, 4), (4, 5)], "abc,cd->abd"),
        ("...ij,...jk->...ik", [(-1, 2, 3, 4), (-1, 2, 4, 5)], "abcd,abde->abce"),
        ("i...,...->i...", [(2, 3), (3,)], "ab,b->ab"),
        ("...ij,...jk->...ik", [(7, 3, 4), (4, 5)], "abc,cd->abd"),
        ("aA,Ab->ab", [(2, 3), (3, 4)], "ab,bc->ac"),
        ("abc,cd->abd", [None, None], "abc,cd->abd"),
    ],
)
def test_every_dimension_gets_a_small_letter(
    equation: str, shapes: list[tuple[int, ...] | None], explicit: str
) -> None:
    assert explicit_equation(equation, shapes) == explicit


@pytest.mark.parametrize("shapes", [[None, (4, 5)], [(1, 3, 4), (2, 4, 5)]])
def test_what_is_of_unknown_rank_or_broadcast_stays(
    shapes: list[tuple[int, ...] | None],
) -> None:
    assert explicit_equation("...ij,...jk->...ik", shapes) == "...ij,...jk->...ik"
