"""The losses inside what others build with torch: transforms, compilers, autocast, processes, inference and meta tensors;
the dimension, divergences and blocks that large models ask for."""

import math
import shutil
import warnings
import weakref

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from course_lib.losses import DIVERGENCES, distillation_loss, hard_label_loss, soft_target_loss
from course_lib.objectives import distillation_terms

INF = math.inf
LABELS = torch.tensor([0, 1, 4, -100, 2, 3])


def logits(*shape, seed=0, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [(scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype) for _ in range(2)]


def gradient_of(loss, z, **options):
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(z), z, **options)[0]


def plain(z, v, labels, T, alpha):
    z, v, labels = z.reshape(-1, z.shape[-1]), v.reshape(-1, v.shape[-1]), labels.flatten()
    log_q, log_p = F.log_softmax(z / T, -1), F.log_softmax(v / T, -1)
    soft = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(z, labels)


# ---- torch.func ----


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_torch_func_gives_what_autograd_gives(divergence):
    z, v = logits(6, 5)

    def loss(z):
        return distillation_loss(z, v, LABELS, 2.0, 0.4, divergence=divergence)

    gradient = gradient_of(loss, z)
    torch.testing.assert_close(grad(loss)(z), gradient)
    tangent = torch.ones_like(z).cumsum(0)
    torch.testing.assert_close(jvp(loss, (z,), (tangent,)), (loss(z), (gradient * tangent).sum()))
    second = torch.autograd.functional.hessian(loss, z)
    for way in (hessian, lambda f: jacrev(jacrev(f)), lambda f: jacfwd(jacfwd(f)), lambda f: jacrev(jacfwd(f))):
        torch.testing.assert_close(way(loss)(z), second)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradients_for_each_example(divergence):
    z, v = logits(6, 5)

    def loss(z, v, label):
        return distillation_loss(z, v, label, 2.0, 0.4, divergence=divergence)

    each = vmap(grad(loss))(z, v, LABELS)
    torch.testing.assert_close(each / 5, gradient_of(lambda z: loss(z, v, LABELS), z))  # of six rows five count
    assert each[3].abs().max() == 0
    one_teacher = vmap(grad(lambda z, v: soft_target_loss(z, v, 3, divergence=divergence)), (0, None))(z, v[0])
    expected = gradient_of(lambda z: 6 * soft_target_loss(z, v[:1].expand(6, 5), 3, divergence=divergence), z)
    torch.testing.assert_close(one_teacher, expected)


def test_gradients_for_each_example_of_a_model():
    model, (x, _), (v, _) = nn.Linear(4, 5).double(), logits(6, 4), logits(6, 5, seed=1)
    weights = {name: w.detach() for name, w in model.named_parameters()}

    def loss(weights, x, v, label):
        return distillation_loss(functional_call(model, weights, x), v, label)

    each = vmap(grad(loss), (None, 0, 0, 0))(weights, x, v, LABELS)
    distillation_loss(model(x), v, LABELS).backward()
    for name, w in model.named_parameters():
        torch.testing.assert_close(each[name].sum(0) / 5, w.grad)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("where", ["both", "z", "v"])
def test_classes_at_minus_infinity_under_torch_func(divergence, where):
    z, v = logits(2, 4)
    for x, name in ((z, "z"), (v, "v")):
        x[:, 1] = -INF if where in ("both", name) else 0.5

    def loss(z):
        return soft_target_loss(z, v, 2, divergence=divergence)

    gradient, value = torch.func.grad_and_value(loss)(z)
    assert value == pytest.approx(loss(z).item())
    expected = gradient_of(loss, z)
    finite = torch.tensor([0, 2, 3])
    if value.isfinite():
        torch.testing.assert_close(gradient[:, finite], expected[:, finite])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_masked_batch_in_half_precision_under_torch_func(dtype):
    z, v = logits(6, 5, dtype=dtype)
    z[3] = math.nan  # where no label is
    gradient = grad(lambda z: distillation_loss(z, v, LABELS, 4.0))(z)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, gradient_of(lambda z: distillation_loss(z, v, LABELS, 4.0), z))


# ---- compilers ----


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch._dynamo.reset()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_compiled_whole(divergence, fresh_compiler):
    compiled = torch.compile(distillation_loss, fullgraph=True, backend="aot_eager")
    z, v = logits(6, 5, dtype=torch.float32)
    for T in (2.0, 3.0):
        for given in (z, v):
            ours = value, gradient = _both(lambda z, T=T: distillation_loss(z, v, LABELS, T, divergence=divergence), given)
            theirs = _both(lambda z, T=T: compiled(z, v, LABELS, T, divergence=divergence), given)
            torch.testing.assert_close(theirs, ours)
    assert value.isfinite()
    assert gradient[LABELS == -100].abs().max() == 0


def test_compiled_around_a_transform(fresh_compiler):
    z, v = logits(6, 5, dtype=torch.float32)

    def gradient(z):
        return grad(lambda z: distillation_loss(z, v, LABELS))(z)

    expected = gradient_of(lambda z: distillation_loss(z, v, LABELS), z)
    torch.testing.assert_close(torch.compile(gradient, fullgraph=True, backend="aot_eager")(z), expected)

    def of_each(z):
        return vmap(grad(lambda z, v, label: distillation_loss(z, v, label)))(z, v, LABELS.clamp(min=0))

    torch.testing.assert_close(torch.compile(of_each, fullgraph=True, backend="aot_eager")(z), of_each(z))


def test_compiled_whole_with_one_beta_after_the_other(fresh_compiler):
    compiled = torch.compile(distillation_loss, fullgraph=True, backend="aot_eager")
    z, v = logits(6, 5, dtype=torch.float32)
    for beta in (0.3, 0.2, 0.7, 0.5):
        settings = {"divergence": "jsd", "beta": beta}
        torch.testing.assert_close(compiled(z, v, LABELS, **settings), distillation_loss(z, v, LABELS, **settings))


@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler that torch takes by default writes C++")
def test_compiled_to_machine_code(fresh_compiler):
    """With the settings that people take: torch.compile(…) and no more. It recompiles once, for sizes of any kind."""
    compiled = torch.compile(distillation_loss, fullgraph=True)
    for rows in (6, 12):
        z, v = logits(rows, 5, dtype=torch.float32)
        settings = (v, LABELS.repeat(rows // 6), 3.0)
        ours, theirs = (
            _both(lambda z, loss=loss, settings=settings: loss(z, *settings), z) for loss in (distillation_loss, compiled)
        )
        torch.testing.assert_close(theirs, ours)


def _both(loss, z):
    z = z.detach().clone().requires_grad_()
    value = loss(z)
    return value.detach(), torch.autograd.grad(value, z)[0]


def test_compiled_whole_by_sequences_with_a_mask_and_a_class_at_minus_infinity(fresh_compiler):
    compiled = torch.compile(soft_target_loss, fullgraph=True, backend="aot_eager")
    z, v = logits(2, 3, 5)
    z[..., 2] = v[..., 2] = -INF
    mask = torch.tensor([[True, True, False], [True, False, False]])
    z[~mask] = math.nan
    for loss in (compiled, soft_target_loss):
        value, gradient = _both(lambda z, loss=loss: loss(z, v, 2.0, mask=mask), z)
        assert value.isfinite()
        assert gradient.isfinite().all()
    torch.testing.assert_close(_both(lambda z: compiled(z, v, 2.0, mask=mask), z), (value, gradient))


# ---- with the terms beside it ----


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("shape", [(6, 5), (300, 400), (2, 150, 400)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_terms_are_what_their_functions_give(shape, divergence, dtype):
    z, v = logits(*shape, dtype=dtype)
    labels = torch.randint(shape[-1], shape[:-1], generator=torch.Generator().manual_seed(0))
    for ignored in (False, True):
        labels[..., ::3] = -100 if ignored else 1
        loss, soft, hard = distillation_loss(z, v, labels, 4, 0.3, divergence=divergence, return_terms=True)
        assert loss == distillation_loss(z, v, labels, 4, 0.3, divergence=divergence)
        expected = soft_target_loss(z, v, 4, divergence=divergence, mask=labels >= 0), hard_label_loss(z, labels)
        torch.testing.assert_close((soft, hard), expected, rtol=3e-7, atol=0)
        assert loss.item() == pytest.approx((0.3 * soft + 0.7 * hard).item(), rel=5e-7)


def test_the_terms_under_other_stacks(fresh_compiler):
    z, v = logits(6, 5, dtype=torch.float32)

    def all_three(z):
        return distillation_loss(z, v, LABELS, 2.0, 0.4, return_terms=True)

    expected = all_three(z)
    torch.testing.assert_close(torch.compile(all_three, fullgraph=True, backend="aot_eager")(z), expected)
    torch.testing.assert_close(vmap(all_three)(z[None]), tuple(each[None] for each in expected))
    gradient, rest = grad(lambda z: (all_three(z)[0], all_three(z)[1:]), has_aux=True)(z)
    torch.testing.assert_close(rest, expected[1:])
    torch.testing.assert_close(gradient, gradient_of(lambda z: all_three(z)[0], z))
    none = distillation_loss(z, v, torch.full_like(LABELS, -100), return_terms=True)
    assert none == (0, 0, 0)


# ---- tensors of other kinds ----


@pytest.mark.parametrize("labels", [LABELS, LABELS.clamp(min=0)], ids=["padded", "whole"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_what_inference_mode_made(dtype, labels):
    z, v = logits(6, 5, dtype=dtype)
    with torch.inference_mode():
        teacher_logits, its_labels = v.clone(), labels.clone()
    expected = _both(lambda z: distillation_loss(z, v, labels), z)
    torch.testing.assert_close(_both(lambda z: distillation_loss(z, teacher_logits, its_labels), z), expected)
    z.requires_grad_()
    for teacher in (v, teacher_logits):
        (first,) = torch.autograd.grad(distillation_loss(z, teacher, its_labels), z, create_graph=True)
        (second,) = torch.autograd.grad(first.float().square().sum(), z)
        assert second.abs().max() > 0
    with torch.inference_mode():
        assert distillation_loss(z, v, labels) == expected[0]


def test_a_mask_that_inference_mode_made_also_where_autograd_differentiates(monkeypatch):
    monkeypatch.setitem(DIVERGENCES, "recorded", lambda p, q, log_ratio: DIVERGENCES["forward"](p, q, log_ratio))
    z, v = logits(6, 5)
    z.requires_grad_()
    with torch.inference_mode():
        inferred = LABELS >= 0
    second = {}
    for divergence in ("forward", "recorded"):
        for mask in (LABELS >= 0, inferred):
            (first,) = torch.autograd.grad(soft_target_loss(z, v, mask=mask, divergence=divergence), z, create_graph=True)
            (second[divergence, mask is inferred],) = torch.autograd.grad(first.square().sum(), z)
    for found in second.values():
        torch.testing.assert_close(found, second["forward", False])


def test_on_the_meta_device():
    z, v = (x.to("meta") for x in logits(2, 3, 5, dtype=torch.float16))
    z.requires_grad_()
    loss = distillation_loss(z, v, torch.zeros(2, 3, dtype=torch.int64, device="meta"))
    loss.backward()
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert z.grad.shape == (2, 3, 5)


def test_no_value_is_read_but_on_the_cpu():
    # The meta device has no values, so whatever reads one fails there as it would wait on a GPU.
    z, v = (x.to("meta").requires_grad_() for x in logits(6, 5))
    labels, mask = LABELS.to("meta"), (LABELS >= 0).to("meta")
    for divergence in DIVERGENCES:
        soft_target_loss(z, v, mask=mask, divergence=divergence).backward()
    for term in distillation_terms(z, v, labels):
        term.backward()


def test_under_autocast():
    torch.manual_seed(0)
    model, (x, _), (v, _) = nn.Linear(4, 5), logits(6, 4, dtype=torch.float32), logits(6, 5, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        z = model(x)
        loss = distillation_loss(z, v, LABELS)
    assert z.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(distillation_loss(z.double(), v.double(), LABELS).item(), rel=1e-6)
    loss.backward()
    assert model.weight.grad.isfinite().all()


def _train_in_two_processes(rank, port, results):
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model, (x, _), (v, _) = nn.Linear(4, 5).double(), logits(6, 4), logits(6, 5, seed=1)
    parallel, rows = nn.parallel.DistributedDataParallel(model), slice(3 * rank, 3 * rank + 3)
    distillation_loss(parallel(x[rows]), v[rows], LABELS.clamp(min=0)[rows]).backward()
    if rank == 0:
        results.put([w.grad.tolist() for w in model.parameters()])
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_in_two_processes():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    results = mp.get_context("spawn").SimpleQueue()
    mp.spawn(_train_in_two_processes, (port, results), nprocs=2)
    torch.manual_seed(0)
    model, (x, _), (v, _) = nn.Linear(4, 5).double(), logits(6, 4), logits(6, 5, seed=1)
    distillation_loss(model(x), v, LABELS.clamp(min=0)).backward()
    for found, w in zip(results.get(), model.parameters(), strict=True):
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), w.grad)


def test_the_gradient_may_be_scaled_and_asked_for_twice():
    z, v = logits(6, 5, dtype=torch.float16)
    z.requires_grad_()
    loss = distillation_loss(z, v, LABELS)
    once, again = (torch.autograd.grad(s * loss, z, retain_graph=True)[0] for s in (2.0**-13, 2.0**-13))
    assert torch.equal(once, again)
    exact = gradient_of(lambda z: distillation_loss(z, v.double(), LABELS), z.double())
    # A scaled gradient is rounded once, after scaling: what would underflow before does not.
    (large,) = torch.autograd.grad(2.0**10 * loss, z)
    torch.testing.assert_close(large.double(), 2**10 * exact, rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_what_is_kept_serves_each_backward_whatever_becomes_of_what_it_gave(reduction):
    z, v = logits(6, 5, dtype=torch.float32)
    expected = gradient_of(lambda z: 3 * soft_target_loss(z, v, 2.0, reduction=reduction).sum(), z)
    loss = 3 * soft_target_loss(z.requires_grad_(), v, 2.0, reduction=reduction).sum()
    for keeps in (True, True, False):
        (gradient,) = torch.autograd.grad(loss, z, retain_graph=keeps)
        torch.testing.assert_close(gradient, expected)
        gradient.zero_()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, z)


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_of_the_logits_are_called_once(create_graph):
    z, v = logits(6, 5, dtype=torch.float32)
    expected = gradient_of(lambda z: soft_target_loss(z, v, 2.0), z)
    z.requires_grad_()
    called = []
    z.register_hook(lambda gradient: called.append(gradient.detach().clone()) or 2 * gradient)
    (gradient,) = torch.autograd.grad(soft_target_loss(z, v, 2.0), z, create_graph=create_graph)
    torch.testing.assert_close(called, [expected])
    torch.testing.assert_close(gradient.detach(), 2 * expected)


def test_a_backward_after_one_that_failed_on_its_way():
    z, v = logits(6, 5, dtype=torch.float32)
    expected = gradient_of(lambda z: soft_target_loss(z, v, 2.0), z)
    with torch.autograd.graph.save_on_cpu():
        loss = soft_target_loss(z.requires_grad_(), v, 2.0)

    def fail(*_):
        raise KeyError

    hook = loss.grad_fn.register_hook(fail)
    with pytest.raises(KeyError):
        (10 * loss).backward()
    hook.remove()
    loss.backward()
    torch.testing.assert_close(z.grad, expected)


def test_a_batch_of_gradients_at_once():
    z, v = logits(6, 5)
    rows = soft_target_loss(z.requires_grad_(), v, reduction="none")
    (jacobian,) = torch.autograd.grad(rows, z, torch.eye(6, dtype=z.dtype), is_grads_batched=True)
    expected = gradient_of(lambda z: soft_target_loss(z, v, reduction="none").sum(), z)
    torch.testing.assert_close(jacobian, torch.eye(6)[..., None] * expected)


@pytest.mark.parametrize("kind", ["normal", "inferred"])
def test_the_teachers_logits_are_let_go_after_backward(kind):
    z, v = logits(6, 5, dtype=torch.float32)
    array = v.numpy()
    alive = weakref.ref(array)
    with torch.inference_mode(kind == "inferred"):
        v = torch.from_numpy(array)
    loss = distillation_loss(z.requires_grad_(), v, LABELS)
    loss.backward()
    del array, v
    assert (alive() is None) == (kind == "normal")  # torch refuses to save the other, so that the loss refers to it


def test_a_teacher_that_is_overwritten_before_a_second_derivative_is_told():
    z, v = logits(6, 5)
    loss = distillation_loss(z.requires_grad_(), v, LABELS)
    v.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, z, create_graph=True)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("where", ["both", "z", "v"])
def test_classes_masked_by_the_lowest_float_have_derivatives(divergence, where):
    z, v = logits(2, 4, dtype=torch.float32)
    for x, name in ((z, "z"), (v, "v")):
        x[:, 1] = torch.finfo(torch.float32).min if where in ("both", name) else 0.5
    gradient, value = torch.func.grad_and_value(lambda z: soft_target_loss(z, v, 0.5, divergence=divergence))(z)
    assert not value.isnan().any()
    if value < 100:
        assert gradient.isfinite().all()
        expected = gradient_of(lambda z: soft_target_loss(z, v, 0.5, divergence=divergence), z)
        finite = torch.tensor([0, 2, 3])
        torch.testing.assert_close(gradient[:, finite], expected[:, finite])


# ---- blocks ----


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("shape", [(300, 400), (5, 70000), (2, 150, 400)])
def test_many_blocks_are_one_loss(divergence, shape):
    z, v = logits(*shape, dtype=torch.float32)
    labels = torch.randint(shape[-1], shape[:-1], generator=torch.Generator().manual_seed(0))
    labels.view(-1)[::3] = -100
    z.view(-1, shape[-1])[::3] = math.nan
    for given in (labels, labels.clamp(min=0)):
        if given is not labels:
            z = z.nan_to_num(1.0)
        found = _both(lambda z, given=given: distillation_loss(z, v, given, 4, 0.3, divergence=divergence), z)
        counted = given >= 0
        expected = _both(
            lambda z, at=counted: distillation_loss(
                z[at], v[at].double(), labels.clamp(min=0)[at], 4, 0.3, divergence=divergence
            ),
            z.double(),
        )
        assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-6)
        atol = 1e-6 * expected[1].abs().max().item()
        if divergence != "tvd":  # whose gradient jumps where p and q cross
            torch.testing.assert_close(found[1].double(), expected[1], rtol=2e-6, atol=atol)


@pytest.mark.parametrize("divergence", ["forward", "reverse"])
@pytest.mark.parametrize("T", [0.05, 1, 1000])
@pytest.mark.parametrize("apart", [0.03, 1.0, 30.0])
def test_no_digit_is_lost_in_large_rows(divergence, T, apart):
    v, noise = logits(16, 5000, dtype=torch.float32, scale=3)
    z = v + apart * noise
    found = _both(lambda z: soft_target_loss(z, v, T, divergence=divergence), z)
    expected = _both(lambda z: soft_target_loss(z, v.double(), T, divergence=divergence), z.double())
    assert found[0].item() == pytest.approx(expected[0].item(), rel=2e-5)
    size = expected[1].norm(dim=-1).max().item()
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-5, atol=2e-6 * size)


@pytest.mark.parametrize("divergence", ["forward", "reverse", "jsd"])
@pytest.mark.parametrize("num_classes", [2, 10, 5000])
@pytest.mark.parametrize("T", [1, 100, 1000])
@pytest.mark.parametrize("apart", [0.001, 0.03])
@pytest.mark.parametrize("offset", [0, 300])
def test_no_digit_is_lost_where_student_and_teacher_nearly_agree(divergence, num_classes, T, apart, offset):
    v, noise = logits(16, num_classes, dtype=torch.float32)
    v = 3 * v + offset
    z = v + apart * noise
    value, gradient = _both(lambda z: soft_target_loss(z, v, T, divergence=divergence), z)
    expected = _both(lambda z: soft_target_loss(z, v.double(), T, divergence=divergence), z.double())
    assert value.item() == pytest.approx(expected[0].item(), rel=1e-6)
    torch.testing.assert_close(gradient.double(), expected[1], rtol=0, atol=1e-6 * expected[1].norm().item())


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("offset", [5, 500, 1e5])
def test_no_digit_is_lost_where_the_two_are_an_offset_apart(monkeypatch, divergence, blocks, offset):
    monkeypatch.setattr("course_lib.losses.HAS_BLOCKS", blocks)
    v, noise = logits(64, 50, dtype=torch.float32, scale=2)
    for z in (1.001 * v + offset, v + noise + offset):
        value, gradient = _both(lambda z: soft_target_loss(z, v, divergence=divergence), z)
        expected = _both(lambda z: soft_target_loss(z, v.double(), divergence=divergence), z.double())
        assert value.item() == pytest.approx(expected[0].item(), rel=1e-6)
        torch.testing.assert_close(gradient.double(), expected[1], rtol=0, atol=1e-6 * expected[1].norm().item())


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("moved", [0.2, 0.26, 1, 7, 9])
def test_no_digit_is_lost_where_one_class_is_moved_and_all_others_agree(monkeypatch, divergence, blocks, moved):
    monkeypatch.setattr("course_lib.losses.HAS_BLOCKS", blocks)
    v, noise = logits(16, 8000, dtype=torch.float32)
    z = v + 1e-4 * noise
    z[:, 7] += moved
    value, gradient = _both(lambda z: soft_target_loss(z, v, 1.0, divergence=divergence), z)
    expected = _both(lambda z: soft_target_loss(z, v.double(), 1.0, divergence=divergence), z.double())
    assert value.item() == pytest.approx(expected[0].item(), rel=2e-6)
    torch.testing.assert_close(gradient.double(), expected[1], rtol=0, atol=2e-6 * expected[1].norm().item())


@pytest.mark.parametrize("divergence", ["forward", "reverse"])
def test_the_derivative_at_the_end_of_the_series(divergence):
    z, v = torch.tensor([[0.0, 0.5]]), torch.tensor([[0.5, 0.0]])  # log(q / p) is a quarter and minus a quarter
    expected = gradient_of(lambda z: soft_target_loss(z, v, 2.0, divergence=divergence), z)
    torch.testing.assert_close(grad(lambda z: soft_target_loss(z, v, 2.0, divergence=divergence))(z), expected)


@pytest.mark.parametrize("gap", [30, 80, 650, 680, 686, 700, 720, 760])
def test_a_class_that_one_has_shut_off_and_the_other_nearly(gap):
    """The value is infinite if the other's probability is a float32, and else what it is without the class."""
    z, v = torch.tensor([[0.0, -INF, 1.0]]), torch.tensor([[0.0, -float(gap), 0.5]])
    without = soft_target_loss(z[:, [0, 2]], v[:, [0, 2]], 1.0).item()
    for given, divergence in (((z, v), "forward"), ((v, z), "reverse")):
        found = soft_target_loss(*given, 1.0, divergence=divergence).item()
        assert found == INF if gap < 100 else found == pytest.approx(without, rel=1e-6)


@pytest.mark.parametrize("beta", [1e-12, 1e-8, 1e-3, 0.3, 0.999, 1 - 1e-8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_generalised_divergence_far_from_the_middle(beta, dtype):
    z = torch.tensor([[0.0, -90, 1], [0, 2, 1], [0, 70, -30]])
    v = torch.tensor([[0.0, 0.3, 0.5], [1, 0, 1], [0, -5, 60]])
    value, gradient = _both(lambda z: soft_target_loss(z, v.to(dtype), 1.0, divergence="jsd", beta=beta), z.to(dtype))
    p, q = (x.double().softmax(-1) for x in (v, z))
    m = beta * p + (1 - beta) * q
    expected = (beta * torch.special.xlogy(p, p / m) + (1 - beta) * torch.special.xlogy(q, q / m)).sum(-1).mean()
    assert value.item() == pytest.approx(expected.item(), rel=2e-6, abs=1e-15)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("divergence", ["forward", "reverse"])
def test_a_row_is_what_it_is_whatever_stands_beside_it(divergence):
    z, v = logits(8, 20, dtype=torch.float32)
    rows, gradient = _rows_and_gradient(z, v, divergence)
    z[1], z[2, 3], z[3, 4] = v[1], math.nan, -INF
    z[4, 5] = v[4, 5] = v[5, 6] = -INF
    beside, its_gradient = _rows_and_gradient(z, v, divergence)
    assert torch.equal(beside[[0, 6, 7]], rows[[0, 6, 7]])
    assert torch.equal(its_gradient[[0, 6, 7]], gradient[[0, 6, 7]])
    assert beside[1] == 0
    assert its_gradient[1].abs().max() == 0
    assert beside[2].isnan()
    infinite = {"forward": 3, "reverse": 5}[divergence]  # where q alone, or p alone, is 0
    assert beside.isinf().nonzero().flatten().tolist() == [infinite]
    others = [0, 1, 4, 8 - infinite, 6, 7]
    expected = _rows_and_gradient(z[others].double(), v[others].double(), divergence)
    torch.testing.assert_close((beside[others].double(), its_gradient[others].double()), expected, rtol=2e-6, atol=1e-9)


def _rows_and_gradient(z, v, divergence):
    z = z.clone().requires_grad_()
    rows = soft_target_loss(z, v, 2.0, divergence=divergence, reduction="none")
    return rows.detach(), torch.autograd.grad(rows.sum(), z)[0]


@pytest.mark.parametrize("num_classes", [10, 400])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_logits_all_of_which_are_large(num_classes, divergence):
    z, v = logits(16, num_classes, dtype=torch.float32)
    labels = torch.arange(16) % num_classes
    found = _both(lambda z: distillation_loss(z, v + 1024, labels, divergence=divergence), z + 1024)
    z, v = ((x + 1024 - 1024).double() for x in (z, v))  # rounded as they were
    expected = _both(lambda z: distillation_loss(z, v, labels, divergence=divergence), z)
    torch.testing.assert_close([each.double() for each in found], list(expected), rtol=2e-6, atol=1e-7)


def test_a_shift_of_all_logits_gives_no_less_than_0():
    v = torch.randn(5000, 10, generator=torch.Generator().manual_seed(0))
    for divergence in ("forward", "reverse", "jsd"):
        rows = soft_target_loss(v + 300, v, 1.0, divergence=divergence, reduction="none")
        assert rows.min() >= 0


def test_peak_memory_is_that_of_the_gradient():
    shape = 256, 8000
    z, v = logits(*shape, dtype=torch.float32)
    labels = torch.zeros(256, dtype=torch.int64)
    peaks = [peak_memory(loss, z, v, labels) / (z.numel() * 4) for loss in (distillation_loss, plain)]
    # One gradient, and blocks, as a share of logits as few as these; two of it where torch cannot tell that one is enough.
    assert peaks[0] < (1.7 if hasattr(torch._C._autograd, "_get_current_graph_task_keep_graph") else 2.5)
    assert peaks[1] > 4.5


def peak_memory(loss, z, v, labels):
    """The most bytes that torch held at a time beyond the inputs, forward and backward."""
    z = z.detach().requires_grad_()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        loss(z, v, labels, 4.0, 0.5).backward()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def test_second_derivatives_are_made_anew():
    z, v = logits(300, 400, dtype=torch.float32)

    def second(z, v):
        z = z.clone().requires_grad_()
        (first,) = torch.autograd.grad(soft_target_loss(z, v, 3), z, create_graph=True)
        return torch.autograd.grad(first.square().sum(), z)[0]

    exact = second(z.double(), v.double())
    torch.testing.assert_close(second(z, v).double(), exact, rtol=1e-4, atol=1e-5 * exact.abs().max().item())


# ---- what else models ask for ----


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_classes_may_stand_in_another_dimension(divergence):
    z, v = logits(2, 5, 8, 8)
    labels = torch.randint(5, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    labels[0, 0] = 255
    last = [x.movedim(1, -1) for x in (z, v)]
    options = {"divergence": divergence, "ignore_index": 255}
    found = _both(lambda z: distillation_loss(z, v, labels, 3, 0.4, dim=1, **options), z)
    value, gradient = _both(lambda z: distillation_loss(z, last[1], labels, 3, 0.4, **options), last[0])
    torch.testing.assert_close(found, (value, gradient.movedim(-1, 1)))
    assert soft_target_loss(z, v, dim=1, mask=labels != 255) == soft_target_loss(*last, mask=labels != 255)
    assert hard_label_loss(z, labels, dim=1, ignore_index=255) == hard_label_loss(last[0], labels, ignore_index=255)
    soft, hard = distillation_terms(z, v, labels, 3, dim=1, **options)
    assert (0.4 * soft + 0.6 * hard).item() == pytest.approx(value.item())


def test_images_with_the_default_dimension_are_not_taken_for_sequences():
    z, v = logits(2, 5, 8, 8)
    with pytest.raises(ValueError, match=r"labels must have shape \(2, 5, 8\)"):
        distillation_loss(z, v, torch.zeros(2, 8, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match="dim must be a dimension of student_logits, which has 4; got 4"):
        soft_target_loss(z, v, dim=4)


def test_rows_one_by_one():
    z, v = logits(2, 3, 5)
    mask = torch.tensor([[True, False, True], [True, True, True]])
    rows = soft_target_loss(z, v, 2, mask=mask, reduction="none")
    assert rows.shape == (2, 3)
    assert rows[0, 1] == 0
    assert rows[1, 2].item() == pytest.approx(soft_target_loss(z[1, 2], v[1, 2], 2).item())
    assert (rows.sum() / 5).item() == pytest.approx(soft_target_loss(z, v, 2, mask=mask).item())
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'none'; got 'sum'"):
        soft_target_loss(z, v, reduction="sum")


def test_terms_that_have_no_share_are_left_out():
    z, v = logits(6, 5)
    z[:, 2] = -INF
    assert soft_target_loss(z, v).item() == INF
    labels = torch.zeros(6, dtype=torch.int64)
    assert distillation_loss(z, v, labels, alpha=0).item() == hard_label_loss(z, labels).item()


def textbook_jsd(z, v, T, beta):
    p, q = (torch.softmax(x.double() / T, -1) for x in (v, z))
    m = beta * p + (1 - beta) * q
    return T**2 * (beta * p * (p / m).log() + (1 - beta) * q * (q / m).log()).sum(-1).mean()


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_the_generalised_jensen_shannon_divergence(beta):
    z, v = logits(6, 5)
    found = _both(lambda z: soft_target_loss(z, v, 2, divergence="jsd", beta=beta), z)
    torch.testing.assert_close(found, _both(lambda z: textbook_jsd(z, v, 2, beta), z))
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: soft_target_loss(z, v, 2, divergence="jsd", beta=beta), z)
    assert torch.autograd.gradgradcheck(lambda z: soft_target_loss(z, v, 2, divergence="jsd", beta=beta), z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_beta_at_its_ends_and_near_them(dtype):
    z, v = logits(6, 5, dtype=dtype)
    for beta, divergence in ((0, "forward"), (1, "reverse")):
        at_end = _both(lambda z, beta=beta: soft_target_loss(z, v, 2, divergence="jsd", beta=beta), z)
        kl = _both(lambda z, name=divergence: soft_target_loss(z, v, 2, divergence=name), z)
        torch.testing.assert_close(at_end, kl, rtol=0, atol=0)
        # Near an end it is the distance from it times the KL of that end, to first order.
        close = abs(beta - 2.0**-30)
        scaled = _both(lambda z, beta=close: 2.0**30 * soft_target_loss(z, v, 2, divergence="jsd", beta=beta), z)
        torch.testing.assert_close(scaled, kl, rtol=1e-5, atol=1e-6)
    for beta in (1e-30, 2.0**-20, 0.3, 1 - 2.0**-20):
        value, gradient = _both(lambda z, beta=beta: soft_target_loss(z, v, 2, divergence="jsd", beta=beta), v)
        assert value == 0
        assert gradient.abs().max() == 0


def test_wrong_beta():
    z, v = logits(6, 5)
    for beta in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=rf"beta must lie in \[0, 1\], got {beta}"):
            soft_target_loss(z, v, divergence="jsd", beta=beta)
    with pytest.raises(ValueError, match="beta must be a number that fits into a float"):
        soft_target_loss(z, v, divergence="jsd", beta=10**400)
    with pytest.raises(TypeError, match="beta must be a real number, got str"):
        soft_target_loss(z, v, divergence="jsd", beta="0")
    with pytest.raises(ValueError, match=r"beta goes with divergence='jsd' alone; got beta=0\.2 with divergence='reverse'"):
        distillation_loss(z, v, LABELS, divergence="reverse", beta=0.2)


def test_soft_labels_are_told_the_way():
    z, v = logits(6, 5)
    with pytest.raises(ValueError, match=r"for soft labels, \(6, 5\): alpha \* soft_target_loss\(...\) .*cross_entropy"):
        distillation_loss(z, v, v.softmax(-1))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_vocabulary_of_which_a_part_is_shut_off(divergence):
    z, v = logits(64, 2000, dtype=torch.float32)
    z[:, ::2] = v[:, ::2] = -INF
    found = _both(lambda z: soft_target_loss(z, v, 2, divergence=divergence), z)
    value, gradient = _both(lambda z: soft_target_loss(z, v[:, 1::2], 2, divergence=divergence), z[:, 1::2])
    torch.testing.assert_close(found[0], value)
    torch.testing.assert_close(found[1][:, 1::2], gradient)
    assert found[1][:, ::2].abs().max() == 0


def test_a_lowest_number_is_not_minus_infinity():
    v = torch.tensor([[0.0, 1.0, torch.finfo(torch.float32).min]])
    z = torch.tensor([[1.0, 0.0, torch.finfo(torch.float32).min]])
    assert soft_target_loss(z, v, 1).item() == pytest.approx(soft_target_loss(z[:, :2], v[:, :2], 1).item())
