"""Makes the DICOM fixtures beside it, and of each what pydicom shows, as 8-bit PNG.

Made with Python 3.11, pydicom 3.0.2, numpy 2.4.6, Pillow 13.0.0, pylibjpeg 2.1.0 with pylibjpeg-libjpeg 2.5.0 and
pylibjpeg-openjpeg 2.6.0, pyjpegls 1.5.1, and dcmtk 3.6.7 (dcmcjpeg, dcmcjpls, dcmcrle, dcmconv):

    python3 tests/dicom/make.py FULL_SIZE_FOLDER

The films are two of Kermany, Zhang and Goldbaum, *Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for
Classification*, Mendeley Data, doi:10.17632/rscbjbr9sj, CC BY 4.0, shrunk. All names and identifiers are invented.

What is expected of a film: `apply_modality_lut`, `apply_voi_lut` (for the first window or the VOI LUT), spread over 0 to
255 by the window's or the LUT's output range, inverted once for MONOCHROME1 or an inverse presentation LUT, padding black,
rounded. Where a file gives neither, the window from the 0.5th to the 99.5th percentile, as NumPy's "inverted_cdf" counts.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.pixels.encoders import JPEG2000LosslessEncoder, JPEGLSLosslessEncoder, JPEGLSNearLosslessEncoder
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MPEG2MPML,
    SecondaryCaptureImageStorage,
    generate_uid,
)

HERE = Path(__file__).parent
ROWS, COLUMNS = 90, 104


def film(source, name, size=(COLUMNS, ROWS)):
    """A film as floats from 0 to 1."""
    with Image.open(Path(source) / name) as image:
        return np.asarray(image.convert("L").resize(size, Image.Resampling.LANCZOS), dtype=np.float64) / 255


def dataset(values, bits, *, signed=False, kind=ComputedRadiographyImageStorage, syntax=ExplicitVRLittleEndian, **more):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["film"])
    meta.TransferSyntaxUID = syntax
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    made.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    made.PatientName, made.PatientID = "Penumbra^Nobody", "PEN-4711"
    made.Modality = "CR"
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows, made.Columns = values.shape[:2]
    made.BitsAllocated = 8 if bits <= 8 else 16
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = int(signed)
    made.PixelData = values.astype(f"<{'i' if signed else 'u'}{made.BitsAllocated // 8}").tobytes()
    made["PixelData"].VR = "OB" if bits <= 8 else "OW"
    for key, value in more.items():
        setattr(made, key, value)
    return made


def lut(first, entries, bits, vr="US", descriptor=None, data_vr="OW"):
    item = Dataset()
    item.add_new(0x00283002, vr, descriptor or [len(entries) % 65536, first, bits])
    item.add_new(0x00283006, data_vr, np.asarray(entries, "<u2").tobytes())
    return [item]


def percentile_window(values):
    low, high = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
    # The half per cent at the upper end is counted from above.
    high = -np.percentile(-values.astype(np.int64), 0.5, method="inverted_cdf")
    return low + (high - low + 1) / 2, high - low + 1


def expected(path):
    """What pydicom shows, as bytes."""
    read = dcmread(path, force=True)
    stored = read.pixel_array
    if read.get("NumberOfFrames", 1) > 1:
        stored = stored[0]
    if read.HighBit + 1 > read.BitsStored:
        # pydicom takes the lowest bits whatever HighBit says.
        stored = np.frombuffer(read.PixelData, "<u2").reshape(stored.shape)
        stored = (stored >> (read.HighBit + 1 - read.BitsStored)) & (2**read.BitsStored - 1)
    if read.SamplesPerPixel == 3:
        luma = stored.astype(np.float64) @ [0.2126, 0.7152, 0.0722]
        return np.floor(luma + 0.5).astype(np.uint8)
    padding = np.zeros(stored.shape, bool)
    if "PixelPaddingValue" in read:
        ends = sorted([read.PixelPaddingValue, read.get("PixelPaddingRangeLimit", read.PixelPaddingValue)])
        padding = (stored >= ends[0]) & (stored <= ends[1])
    values = apply_modality_lut(stored, read)
    if "VOILUTSequence" in read:
        bits = read.VOILUTSequence[0].LUTDescriptor[2]
        grey = apply_voi_lut(values, read, prefer_lut=True) / (2**bits - 1)
    else:
        if "WindowCenter" not in read:
            read.WindowCenter, read.WindowWidth = percentile_window(values[~padding])
        if "ModalityLUTSequence" in read:
            low, high = 0, 2 ** read.ModalityLUTSequence[0].LUTDescriptor[2] - 1
        else:
            slope, offset = float(read.get("RescaleSlope", 1)), float(read.get("RescaleIntercept", 0))
            span = 2**read.BitsStored
            ends = (-span // 2, span // 2 - 1) if read.PixelRepresentation else (0, span - 1)
            # Ends of a negative slope stay as they are: the first is where black goes.
            low, high = (slope * end + offset for end in ends)
        # pydicom spreads windows over the range that values can have.
        grey = (apply_voi_lut(values, read, prefer_lut=False) - low) / (high - low)
    if read.PhotometricInterpretation == "MONOCHROME1" or read.get("PresentationLUTShape") == "INVERSE":
        grey = 1 - grey
    grey = np.where(padding, 0, grey)
    return np.floor(grey * 255 + 0.5).clip(0, 255).astype(np.uint8)


def keep(name, made, sound=True):
    path = HERE / f"{name}.dcm"
    made.save_as(path, enforce_file_format=True)
    if sound:
        show(path)
    return path


def show(path, like=None):
    Image.fromarray(expected(like or path)).save(path.with_suffix(".png"), optimize=True)


def run(tool, *arguments):
    subprocess.run([tool, *map(str, arguments)], check=True)


def sound(a, b):
    """Films that are shown."""
    twelve, sixteen = np.round(a * 3600 + 200), np.round(b * 60000 + 2000)
    keep("mono2-8", dataset(np.round(a * 255), 8, kind=SecondaryCaptureImageStorage, BurnedInAnnotation="YES"))
    full = dataset(np.round(b * 255), 8, WindowCenter="128", WindowWidth="256")
    keep("mono2-8-window", full)
    plain = dataset(twelve, 12, WindowCenter="2000", WindowWidth="3000")
    native = keep("mono2-12-window", plain)
    # The window lies in modality values, and inversion comes last.
    keep(
        "mono1-12-windows",
        dataset(
            4095 - twelve, 12, PhotometricInterpretation="MONOCHROME1", RescaleSlope="1", RescaleIntercept="0",
            WindowCenter=["2100", "1500.5"], WindowWidth=["3000", "900"],
            WindowCenterWidthExplanation=["NORMAL", "HARDER"], PixelSpacing=["0.14", "0.15"],
            ImagerPixelSpacing=["0.17", "0.18"],
        ),
    )
    keep("mono2-16", dataset(sixteen, 16))
    keep("mono2-10-high-bit", shifted(np.round(a * 1000), 10, 13))
    keep(
        "signed-rescale",
        dataset(
            np.round(b * 3000 - 1500), 13, signed=True, RescaleSlope="0.5", RescaleIntercept="-100",
            WindowCenter="-120.5", WindowWidth="1200",
        ),
    )
    keep(
        "signed-negative-slope",
        dataset(
            np.round(a * 3000 - 1500), 12, signed=True, PhotometricInterpretation="MONOCHROME1", RescaleSlope="-10",
            RescaleIntercept="3000", WindowCenter="3000", WindowWidth="22000",
        ),
    )
    exact = dataset(twelve, 12, WindowCenter="2000", WindowWidth="2500", VOILUTFunction="LINEAR_EXACT")
    keep("linear-exact", exact)
    keep("sigmoid", dataset(twelve, 12, WindowCenter="2000", WindowWidth="1800", VOILUTFunction="SIGMOID"))
    curve = np.round(1023 / (1 + np.exp(-(np.arange(2048) - 900) / 250)))
    keep("voi-lut", dataset(twelve, 12, VOILUTSequence=lut(1000, curve, 10), WindowCenter="1", WindowWidth="2"))
    signed_curve = np.round(65535 * np.sqrt(np.arange(2000) / 1999))
    keep(
        "voi-lut-signed",
        dataset(np.round(b * 3000 - 1500), 12, signed=True, VOILUTSequence=lut(-800, signed_curve, 16, vr="SS")),
    )
    square = np.round(np.arange(4096) ** 2 / 256)
    keep(
        "modality-lut",
        dataset(twelve, 12, ModalityLUTSequence=lut(0, square, 16), WindowCenter="24000", WindowWidth="48000",
                PixelPaddingValue=int(twelve.max())),
    )
    framed = sixteen.copy()
    framed[:12], framed[:, :9] = 0, 3
    keep("padding", dataset(framed, 16, PixelPaddingValue=0, PixelPaddingRangeLimit=5, PhotometricInterpretation="MONOCHROME1"))
    keep(
        "inverse-mono1",
        dataset(
            twelve, 12, kind=DigitalXRayImageStorageForPresentation, PhotometricInterpretation="MONOCHROME1",
            PresentationLUTShape="INVERSE", WindowCenter="2000", WindowWidth="3600",
        ),
    )
    keep("implicit", dataset(twelve, 12, syntax=ImplicitVRLittleEndian, VOILUTSequence=lut(1000, curve, 10)))
    for name, flag in [("big-endian", "+tb"), ("deflated", "+td")]:
        run("dcmconv", flag, native, HERE / f"{name}.dcm")
        show(HERE / f"{name}.dcm")
    bare = keep("no-preamble", plain)
    bare.write_bytes(bare.read_bytes()[132:])
    frames = dataset(np.concatenate([twelve, twelve[::-1]]), 12, WindowCenter="2000", WindowWidth="3000",
                     kind=SecondaryCaptureImageStorage)
    frames.Rows, frames.NumberOfFrames = ROWS, 2
    keep("frames", frames)
    return native


def shifted(values, bits, high):
    """Stored values that do not begin at the lowest bit, with something else below and above."""
    low = high + 1 - bits
    made = dataset(values * 2**low + 3 + 2**15, 16)
    made.BitsStored, made.HighBit = bits, high
    return made


def coded(native, a, b):
    """Films that are compressed."""
    run("dcmcrle", native, HERE / "rle.dcm")
    run("dcmcjpeg", "+un", "+e1", native, HERE / "jpeg-lossless-sv1.dcm")
    run("dcmcjpeg", "+un", "+el", native, HERE / "jpeg-lossless-14.dcm")
    run("dcmcjpls", native, HERE / "jpeg-ls.dcm")
    eight = HERE / "mono2-8-window.dcm"
    run("dcmcjpeg", "+un", "+eb", "+q", "92", eight, HERE / "jpeg-baseline.dcm")
    run("dcmcjpeg", "+un", "+ee", "+q", "92", native, HERE / "jpeg-extended-12.dcm")
    run("dcmcjpls", eight, HERE / "jpeg-ls-8.dcm")
    run("dcmcrle", HERE / "signed-rescale.dcm", HERE / "rle-signed.dcm")
    run("dcmcjpls", HERE / "signed-rescale.dcm", HERE / "jpeg-ls-signed.dcm")
    run("dcmcjpeg", "+un", "+e1", HERE / "frames.dcm", HERE / "jpeg-frames.dcm")
    for name in ["rle", "jpeg-lossless-sv1", "jpeg-lossless-14", "jpeg-ls", "jpeg-baseline", "jpeg-ls-8", "rle-signed",
                 "jpeg-ls-signed", "jpeg-frames"]:
        show(HERE / f"{name}.dcm")
    for name, syntax, more in [("jpeg-ls-near", JPEGLSNearLossless, {"jls_error": 3}),
                               ("jpeg-2000", JPEG2000Lossless, {}), ("jpeg-2000-lossy", JPEG2000, {"j2k_cr": [8]})]:
        made = dcmread(native)
        made.compress(syntax, **more, generate_instance_uid=False)
        keep(name, made)
    signed = dcmread(HERE / "signed-rescale.dcm")
    signed.compress(JPEG2000Lossless, generate_instance_uid=False)
    keep("jpeg-2000-signed", signed)
    rgb = np.stack([np.round(a * 255), np.round(b * 255), np.round(255 - a * 255)], axis=-1)
    colour = dataset(rgb, 8, kind=SecondaryCaptureImageStorage)
    colour.SamplesPerPixel, colour.PhotometricInterpretation, colour.PlanarConfiguration = 3, "RGB", 0
    keep("colour", colour)
    run("dcmcrle", HERE / "colour.dcm", HERE / "colour-rle.dcm")
    show(HERE / "colour-rle.dcm")
    run("dcmcjpeg", "+un", "+eb", "+q", "95", HERE / "colour.dcm", HERE / "colour-jpeg.dcm")
    show(HERE / "colour-jpeg.dcm")


def unsound(a):
    """Films that are shown by something else than their file says, and files that are refused."""
    twelve = np.round(a * 3600 + 200)
    plain = dataset(twelve, 12)
    byte = lambda **more: dataset(twelve, 12, **more)
    ramp = np.arange(4096)
    for name, sequence in [
        ("bad-descriptor", lut(0, ramp, 12, descriptor=[4096, 0])),
        ("bad-bits", lut(0, ramp, 40)),
        ("short-lut", lut(0, ramp[:100], 12, descriptor=[4096, 0, 12])),
        ("high-lut", lut(0, ramp * 16, 12)),
    ]:
        path = keep(name, byte(VOILUTSequence=sequence), sound=False)
        show(path, like=keep("plain", plain, sound=False))
    path = keep("bad-modality-lut", byte(ModalityLUTSequence=lut(0, [], 12), WindowCenter="9", WindowWidth="2"), sound=False)
    show(path, like=HERE / "plain.dcm")
    path = keep("bad-window", byte(WindowCenter=["2000", "1"], WindowWidth=["0", "-4"]), sound=False)
    show(path, like=HERE / "plain.dcm")
    (HERE / "plain.dcm").unlink()

    whole = (HERE / "mono2-12-window.dcm").read_bytes()
    (HERE / "truncated.dcm").write_bytes(whole[: len(whole) * 2 // 3])
    rle = (HERE / "rle.dcm").read_bytes()
    (HERE / "truncated-rle.dcm").write_bytes(rle[: len(rle) * 2 // 3])
    deflated = (HERE / "deflated.dcm").read_bytes()
    (HERE / "truncated-deflated.dcm").write_bytes(deflated[: len(deflated) * 2 // 3])
    missing = byte()
    del missing.Rows
    keep("no-rows", missing, sound=False)
    short = byte()
    short.Rows *= 3
    keep("wrong-length", short, sound=False)
    huge = byte()
    huge.Rows = huge.Columns = 60000
    keep("huge", huge, sound=False)
    wrong = byte()
    wrong.BitsStored, wrong.HighBit = 20, 19
    keep("bad-bits-stored", wrong, sound=False)
    movie = byte(syntax=ExplicitVRLittleEndian)
    movie.file_meta.TransferSyntaxUID = MPEG2MPML
    movie.PixelData = encapsulate([b"\x00\x00\x01\xb3" + bytes(60)])
    movie["PixelData"].is_undefined_length = True
    keep("mpeg", movie, sound=False)
    private = byte()
    private.file_meta.TransferSyntaxUID = UID("1.2.3.4.5.6")
    private.save_as(HERE / "private-syntax.dcm", enforce_file_format=True, implicit_vr=False, little_endian=True)
    empty = byte()
    del empty.PixelData
    keep("no-pixels", empty, sound=False)
    keep("ct", byte(kind=UID("1.2.840.10008.5.1.4.1.1.2")), sound=False)
    document = byte(kind=EncapsulatedPDFStorage)
    del document.PixelData
    document.EncapsulatedDocument = b"%PDF-1.4 "
    keep("pdf", document, sound=False)
    index = byte(kind=UID("1.2.840.10008.1.3.10"))
    del index.PixelData
    index.FileSetID = "FILMS"
    index.DirectoryRecordSequence = []
    keep("dicomdir", index, sound=False)
    palette = byte(PhotometricInterpretation="PALETTE COLOR")
    keep("palette", palette, sound=False)


def main():
    for old in [*HERE.glob("*.dcm"), *HERE.glob("*.png")]:
        old.unlink()
    source = sys.argv[1]
    a, b = film(source, "NORMAL-28501-0001.jpeg"), film(source, "BACTERIA-30629-0001.jpeg")
    native = sound(a, b)
    coded(native, a, b)
    unsound(a)


if __name__ == "__main__":
    main()
