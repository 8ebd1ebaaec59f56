"""The lark grammars of the tasks and of the program notation, installed as package data."""
