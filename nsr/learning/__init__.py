"""Learning: deduction, abduction and the loop that joins them; uses all other rooms and is used by none of them."""
