"""Grade a folder of submissions: python -m exercises.grading SUBMISSIONS --out DIR.

What a learner wrote runs in a child, behind walls (`sandbox`, `child`, `zygote`, `supervisor`, `walls`), and sends back plain
numbers (`running`). They are judged here, by the checks of course_lib, which never run an answer (`scoring`).
"""
