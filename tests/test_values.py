"""Values: their ids, their JSON and how they are shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsr.semantics.values import EMPTY, EMPTY_ID, MISSING, MISSING_ID, ValueTable, format_value, to_json

values = st.one_of(
    st.integers(), st.text(), st.lists(st.text(), max_size=4).map(tuple), st.sampled_from([MISSING, EMPTY])
)


@given(st.lists(values))
def test_a_table_numbers_distinct_values(items):
    table = ValueTable()
    ids = table.ids(items)
    assert ids.dtype == np.int64
    assert [table[each] for each in ids] == items
    assert len(table) == len(set(items) | {MISSING, EMPTY})
    assert table.ids(items).tolist() == ids.tolist(), "an id is for ever"


def test_sentinels_have_fixed_ids():
    table = ValueTable()
    assert (table.id(MISSING), table.id(EMPTY), table.id(())) == (MISSING_ID, EMPTY_ID, 2)


def test_a_token_is_not_the_list_of_it_nor_the_number():
    table = ValueTable()
    assert len({table.id(each) for each in ("1", ("1",), 1, (), "")}) == 5


def test_an_id_that_was_never_given_has_no_value():
    with pytest.raises(IndexError):
        ValueTable()[2]


@pytest.mark.parametrize(
    ("value", "data"),
    [(("A", "B"), ["A", "B"]), ((), []), (7, 7), ("A", "A"), (MISSING, None), (EMPTY, {"sentinel": "EMPTY"})],
)
def test_json_tells_all_kinds_of_values_apart(value, data):
    assert to_json(value) == data


@pytest.mark.parametrize(
    ("value", "text"),
    [(("I_RUN", "I_WALK"), "I_RUN I_WALK"), ((), "[]"), (7, "7"), ("A", "A"), (MISSING, "?"), (EMPTY, "∅")],
)
def test_format_value(value, text):
    assert format_value(value) == text
