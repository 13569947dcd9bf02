"""The example of a port of code: the text that is written, and that its proof finds what is wrong."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from torchport.source import SourcePort, cases_of, module, port_source, proven, watched_project
from torchport.source.project import Project
from torchport.source.prove import Prover
from torchport.source.sites import SourceFile

EXAMPLE = Path(__file__).parents[2] / "examples" / "unet_code"


@pytest.fixture(scope="module")
def port() -> SourcePort:
    return port_source(EXAMPLE / "unet.py")


@pytest.fixture(scope="module")
def project() -> Project:
    """The example, staged, with fewer runs than a port takes."""
    found = watched_project(
        SourceFile.of(EXAMPLE / "unet.py"), (), ["build_unet()", "build_unet(attention=False)"]
    )
    for name in ("conv_block", "decoder_block", "SqueezeExcite", "dice_loss"):
        found.unit(name)
    return found


def test_its_text_is_that_beside_it(port: SourcePort) -> None:
    assert port.code == (EXAMPLE / "port" / "unet.py").read_text()


def test_every_unit_is_proven_with_other_arguments(port: SourcePort) -> None:
    assert [it.name for it in port.units] == [
        "SqueezeExcite", "conv_block", "encoder_block", "attention_gate", "decoder_block", "build_unet",
        "dice_loss",
    ]  # fmt: skip
    for unit in port.units:
        proof = port.proofs[unit.name]
        assert len(proof.cases) >= 4 and not proof.differences, unit.name


#: A unit, a part of its text, and what stands there by mistake.
MUTANTS = [
    ("conv_block", "eps=1e-3", "eps=1e-5"),
    ("conv_block", "momentum=0.01", "momentum=0.1"),
    ("conv_block", "nn.Conv2d(in_channels, filters, 3, padding=1", "nn.Conv2d(in_channels, 8, 3, padding=1"),
    ("conv_block", "nn.Dropout(dropout)", "nn.Dropout(0.1)"),
    ("conv_block", "x = F.relu(x)", "x = F.gelu(x)"),
    ("decoder_block", "[x, skip]", "[skip, x]"),
    ("decoder_block", "if self.attention:", "if True:"),
    ("decoder_block", "skip = self.attention_gate(skip, x)", "self.attention_gate(skip, x)"),
    ("SqueezeExcite", "x.mean(dim=(2, 3)", "x.amax(dim=(2, 3)"),
    ("SqueezeExcite", "channels // ratio", "channels // 4"),
    ("dice_loss", "+ smooth)", "+ 1.0)"),
    ("dice_loss", "2.0 * intersection", "intersection"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), MUTANTS, ids=lambda it: str(it)[:30])
def test_a_mistake_in_the_port_is_found(project: Project, name: str, right: str, wrong: str) -> None:
    units = [it for it in project.units.values() if it is not None]
    text = module.text_of(project.source, units)
    unit = next(it for it in units if it.name == name)
    start = text.index(f"{'def' if unit.kind == 'function' else 'class'} {unit.cls}")
    place = text.index(right, start)
    made = loaded(text[:place] + wrong + text[place + len(right) :])
    proof = proven(Prover(project, made), unit, list(cases_of(project.watched, unit)))
    assert proof.differences


def loaded(text: str) -> types.ModuleType:
    return module.loaded(text, "mutant")
