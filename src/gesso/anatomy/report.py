"""The anatomy of a model as plain text for a terminal, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from gesso.anatomy.arithmetic import Macs
from gesso.anatomy.dissect import Anatomy
from gesso.anatomy.numbers import MacUnit, mac_unit, memory, share, size
from gesso.anatomy.outline import Block, Outline, total
from gesso.anatomy.tally import Entry, tally

Row = Sequence[str]

WIDTH = 100


def report(anatomy: Anatomy, notes: Iterable[str] = ()) -> str:
    """The whole report, ending in a newline.

    Args:
        notes: lines about where the model comes from, printed under its name.
    """
    unet, unit = anatomy.unet, mac_unit(anatomy.unet.macs)
    sections = (
        [*header(anatomy), *notes],
        table(("", "parameters", "fp32", "fp16", unit.name, ""), part_rows(anatomy, unit), left=(0, 5)),
        table(
            ("UNet", "input", "output", "parameters", "share", unit.name, "share", "skip"),
            block_rows(unet, unit),
            left=(0, 1, 2, 7),
        ),
        skip_lines(unet),
        table(
            ("UNet by kind", "parameters", "share", unit.name, "share"), kind_rows(unet, unit), left=(0,)
        ),
        [products_line(unet, unit)],
    )
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def header(anatomy: Anatomy) -> Iterator[str]:
    config = anatomy.config
    task = "inpainting" if config.inpainting else "text to image"
    steps, prediction = config.noise.steps, config.noise.prediction
    yield f"{config.name}: Stable Diffusion 1.x, {task}, predicts {prediction}, {steps} training timesteps"
    latents, context = size(anatomy.latents_shape), size(anatomy.context_shape)
    yield f"image {anatomy.width}×{anatomy.height}, UNet input {latents}, context {context}"


def part_rows(anatomy: Anatomy, unit: MacUnit) -> Iterator[Row]:
    def row(name: str, parameters: int, macs: str = "", per: str = "") -> Row:
        return (name, f"{parameters:,}", memory(4 * parameters), memory(2 * parameters), macs, per)

    text, unet, encoder, decoder = anatomy.text_encoder, anatomy.unet, anatomy.encoder, anatomy.decoder
    yield row("text encoder", text.parameters, unit.format(text.macs), "a prompt")
    yield row("UNet", unet.parameters, unit.format(unet.macs), "a step of one sample")
    yield row("autoencoder", encoder.parameters + decoder.parameters)
    yield row("  encoder", encoder.parameters, unit.format(encoder.macs), "an image")
    yield row("  decoder", decoder.parameters, unit.format(decoder.macs), "an image")
    yield row("all", anatomy.parameters)


def block_rows(unet: Outline, unit: MacUnit) -> Iterator[Row]:
    """A line for each stage of the UNet, and under it one for each of its blocks."""
    kept = {block.path for block in unet.skips}
    for stage, blocks in unet.stages.items():
        alone = len(blocks) == 1
        if not alone:
            yield (stage, "", "", *costs(blocks, unet, unit), "")
        for block in blocks:
            name = stage if alone else f"  {block.label.removeprefix(stage)[1:]} {block.kind}"
            skip = f"← {block.reads.label}" if block.reads else "kept →" if block.path in kept else ""
            yield (name, read_shape(block), size(block.output), *costs([block], unet, unit), skip)
    yield ("all", "", "", *costs(unet.blocks, unet, unit), "")


def costs(items: Sequence[Block | Entry], unet: Outline, unit: MacUnit) -> Row:
    """Parameters and arithmetic, each with its share of the UNet's."""
    parameters = sum(item.parameters for item in items)
    macs = total(item.macs for item in items)
    return (
        f"{parameters:,}",
        share(parameters, unet.parameters),
        unit.format(macs),
        share(macs.total, unet.macs.total),
    )


def read_shape(block: Block) -> str:
    """``(1280+640)×32×32`` where a skip is concatenated."""
    shape = block.inputs[0]
    if not block.reads:
        return size(shape) or "timestep"
    return f"({block.reads.input_channels}+{block.reads.channels})×{size(shape[1:])}"


def skip_lines(unet: Outline) -> list[str]:
    """The stack of skips, wrapped to the report's width."""
    hard = "\N{NO-BREAK SPACE}"
    stack = ", ".join(f"{block.label} ({block.output[0]})".replace(" ", hard) for block in unet.skips)
    lines = wrap(f"Skips, first to last kept: {stack}. The way up reads the last one first.", WIDTH)
    return [line.replace(hard, " ") for line in lines]


def kind_rows(unet: Outline, unit: MacUnit) -> Iterator[Row]:
    for entry in tally(unet):
        yield (entry.name, *costs([entry], unet, unit))
        for part in entry.parts:
            yield (f"  {part.name}", *costs([part], unet, unit))


def products_line(unet: Outline, unit: MacUnit) -> str:
    products = Macs(attention=unet.macs.attention)
    return (
        f"Of the UNet's {unit.format(unet.macs)} {unit.name}, {unit.format(products)} "
        f"({share(products.total, unet.macs.total)}) are attention's products, QKᵀ and AV."
    )


def table(columns: Row, rows: Iterable[Row], *, left: tuple[int, ...]) -> Iterator[str]:
    """Lines of aligned cells under their headings; columns are flush right but for those in ``left``."""
    cells = [columns, *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
    for row in cells:
        yield gap.join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
