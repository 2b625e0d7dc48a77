"""How an exercise is checked: observe an answer, judge what was observed, name the mistake."""
