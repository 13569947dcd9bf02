"""The example of a port of code: the text that is written, and that its proof finds what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.source.mistakes import with_mistake

from torchport.source import SourcePort, cases_of, module, port_of, proven, watched_project
from torchport.source.project import Project
from torchport.source.prove import Prover
from torchport.source.sites import SourceFile

EXAMPLE = Path(__file__).parents[2] / "examples" / "unet_code"


@pytest.fixture(scope="module")
def project() -> Project:
    return watched_project(SourceFile.of(EXAMPLE / "unet.py"), (), ())


@pytest.fixture(scope="module")
def port(project: Project) -> SourcePort:
    return port_of(project)


@pytest.fixture(scope="module")
def prover(project: Project, port: SourcePort) -> Prover:
    """One that runs the source once for all mutants of a unit."""
    return Prover(project, module.loaded(port.code, "port"), references={})


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
def test_a_mistake_in_the_port_is_found(
    port: SourcePort, prover: Prover, name: str, right: str, wrong: str
) -> None:
    unit, text = with_mistake(port, name, right, wrong)
    cases = list(cases_of(prover.project.watched, unit))
    assert not proven(prover, unit, cases).differences
    assert proven(replace(prover, port=module.loaded(text, "mutant")), unit, cases).differences
