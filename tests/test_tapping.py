"""Outputs of layers inside of a model, against the layers called by hand; and that nothing stays behind."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from course_lib.basics import seeded
from course_lib.tapping import check_gradients, find_layer, tapped


class Network(nn.Module):
    """Has layers in layers, one that works in place, one that is called twice, and one that is not called."""

    def __init__(self, checkpointing=None):
        super().__init__()
        with seeded(0):
            self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True))
            self.twice, self.head, self.idle = nn.Linear(8, 8), nn.Linear(8, 3), nn.Linear(8, 3)
            self.recurrent = nn.GRU(8, 8)
        self.checkpointing = checkpointing

    def forward(self, inputs):
        hidden = checkpoint(self.body, inputs, **self.checkpointing) if self.checkpointing else self.body(inputs)
        hidden, _ = self.recurrent(self.twice(torch.tanh(self.twice(hidden))))
        return self.head(hidden)


def inputs():
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def hooks_of(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_outputs_are_those_of_the_layers_and_have_their_gradients():
    model = Network().eval()
    with tapped(model, ["body.0", "body", "head"]) as found:
        output = model(inputs())
    torch.testing.assert_close(found["body.0"], model.body[0](inputs()))
    torch.testing.assert_close(found["body"], model.body(inputs()))
    assert torch.equal(found["head"], output)
    found["body.0"].sum().backward()
    torch.testing.assert_close(model.body[0].weight.grad, inputs().sum(0).expand(8, 4))
    assert model.body[1].weight.grad is None


def test_a_layer_that_works_in_place_does_not_change_what_was_kept():
    model = Network().eval()
    with tapped(model, ["body.1", "body.2"]) as found:
        model(inputs())
    torch.testing.assert_close(found["body.1"], model.body[1](model.body[0](inputs())))
    assert found["body.1"].min() < 0 == found["body.2"].min()


def test_of_a_layer_that_is_called_twice_the_last_output_is_kept():
    model = Network()
    with tapped(model, ["twice"]) as found:
        model(inputs())
        hidden = model.body.eval()(inputs())
    with tapped(model, ["twice"]) as found:
        model(inputs())
    torch.testing.assert_close(found["twice"], model.twice(torch.tanh(model.twice(hidden))))


def test_an_output_without_a_gradient_takes_no_ones_place_that_has_it():
    layer = nn.Linear(4, 4)
    with tapped(layer, [""]) as found:
        expected = layer(inputs())
        with torch.no_grad():
            layer(2 * inputs())
    assert torch.equal(found[""], expected)
    with tapped(layer, [""]) as found:
        with torch.no_grad():
            layer(2 * inputs())
        layer(inputs())
    assert torch.equal(found[""], expected)
    assert found[""].requires_grad


def test_no_hook_is_left_behind():
    model = Network()
    with tapped(model, ["body.0", "head"]):
        assert hooks_of(model) == 2
        model(inputs())
    assert hooks_of(model) == 0
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), tapped(model, ["body.0", "head"]):
        model(torch.ones(6, 5))
    assert hooks_of(model) == 0
    with pytest.raises(ValueError, match="no 'nowhere'"), tapped(model, ["head", "nowhere"]):
        pass
    assert hooks_of(model) == 0


def test_layers_that_give_nothing_to_compare_are_told():
    model = Network()
    with pytest.raises(TypeError, match="layer 'recurrent' must give a tensor, got tuple"), tapped(model, ["recurrent"]):
        model(inputs())
    assert hooks_of(model) == 0
    with pytest.raises(ValueError, match="layer 'idle' must run when the model does; it did not"), tapped(model, ["idle"]):
        model(inputs())
    assert hooks_of(model) == 0


@pytest.mark.parametrize(
    ("name", "near"),
    [("body.7", "'body.2', 'body.1', 'body.0'"), ("heads", "'head'"), ("xyz", "'body', 'body.0', 'body.1'")],
)
def test_names_that_are_close_are_offered(name, near):
    with pytest.raises(ValueError, match=f"layers must name layers of the models; Network has no '{name}', but {near}: see"):
        find_layer(Network(), name)
    with pytest.raises(ValueError, match="Linear has no 'x', but none at all: see"):
        find_layer(nn.Linear(2, 2), "x")


# ---- wrappers ----


class Wrapper(nn.Module):
    """Puts a part into the names of layers, as DDP and others do."""

    def __init__(self, model, part):
        super().__init__()
        self.add_module(part, model)

    def forward(self, *given):
        return next(self.children())(*given)


def test_names_are_right_with_and_without_what_wrappers_put_into_them():
    model = Network()
    parallel = Wrapper(Wrapper(model, "module"), "module")
    for name in ("body.0", "module.body.0", "module.module.body.0"):
        assert find_layer(parallel, name) is find_layer(model, name) is model.body[0]
    model.body = Wrapper(model.body, "_checkpoint_wrapped_module")
    for name in ("body.0", "module.body._checkpoint_wrapped_module.0", "module.body.0"):
        assert find_layer(parallel, name) is find_layer(model, name)
    assert find_layer(parallel, "body") is model.body
    own = nn.ModuleDict({"module": nn.Linear(2, 2), "other": nn.Linear(2, 2)})  # whose own layer has that name
    assert find_layer(own, "module") is own["module"]
    assert find_layer(own, "other") is own["other"]


def test_layers_that_two_names_share_are_found_by_both():
    model = Network()
    model.again = model.body
    assert find_layer(model, "again.1") is find_layer(model, "body.1")


def test_parallel_data_in_one_process():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = Network()
        del model.idle
        parallel = nn.parallel.DistributedDataParallel(model)
        with tapped(parallel, ["body.0"]) as found:
            (parallel(inputs()).sum() + found["body.0"].sum()).backward()
        alone = Network()
        with tapped(alone, ["body.0"]) as found:
            (alone(inputs()).sum() + found["body.0"].sum()).backward()
        torch.testing.assert_close(model.body[0].weight.grad, alone.body[0].weight.grad)
        assert hooks_of(parallel) == 0
    finally:
        torch.distributed.destroy_process_group()


def gradient_of(model):
    with tapped(model, ["body.0"]) as found:
        output = model(inputs().requires_grad_())
    check_gradients(found)
    (output.sum() + found["body.0"].square().sum()).backward()
    return model.body[0].weight.grad


def test_checkpointing_that_keeps_gradients_gives_the_same():
    torch.testing.assert_close(gradient_of(Network({"use_reentrant": False})), gradient_of(Network()))


def test_checkpointing_that_hides_gradients_and_frozen_layers_are_told():
    with pytest.raises(ValueError, match=r"layer 'body.0' must give an output with a gradient; .*use_reentrant=False"):
        gradient_of(Network({"use_reentrant": True}))
    frozen = nn.Linear(4, 4).requires_grad_(False)
    with tapped(frozen, [""]) as found:
        frozen(inputs())
    with pytest.raises(ValueError, match=r"layer '' must give an output with a gradient; it is frozen"):
        check_gradients(found)
    with torch.no_grad():
        check_gradients(found)


def test_what_is_compiled_is_told_unless_it_is_inside_of_the_layer():
    in_all, in_place, inside = Network(), Network(), Network()
    in_place.body.compile(backend="eager")
    inside.body[0].compile(backend="eager")
    for model in (torch.compile(in_all, backend="eager"), in_place):
        with pytest.raises(ValueError, match=r"layer '.*body.0' is inside of what torch.compile made, which calls no hooks"):
            find_layer(model, "body.0")
    assert find_layer(inside, "body") is inside.body
    with tapped(inside.eval(), ["body"]) as found:
        inside(inputs())
    torch.testing.assert_close(found["body"], Network().eval().body(inputs()))
