"""Grade a folder of submissions: python -m exercises.grading SUBMISSIONS --out DIR.

What was handed in is found and read (`walking`, `reading`), and given to whose it is (`whose`, `roster`, `lms`, `submissions`).
What a learner wrote in it (`answers`) runs in a child, behind walls (`sandbox`, `child`, `zygote`, `supervisor`, `walls`), and
sends back plain numbers (`running`). They are judged here, by the checks of course_lib, which never run an answer (`scoring`).
A gradebook (`rows`) is `kept` for the next run, gets its `lateness` and `overrides`, and goes out by `writing`: tables by
`gradebook` and `items`, pages by `pages` and `alike`, under pseudonyms by `anonymous`.
"""
