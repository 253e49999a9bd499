"""Each source gives the labels and patients that its publisher states, and a reason for each omitted file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pneumoscope.core.errors import LabelError, ManifestError, PneumoscopeError, UsageError
from pneumoscope.data.cells import parse_age
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.sources.kaggle_pneumonia import parse_name


def _files(folder: Path, *names: str) -> Path:
    """Make empty files: a source lists names and reads no image."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _scan(source: str, path: Path, **options: object) -> Listing:
    return SOURCES.get(source).list_images(path, ImportOptions(**options))  # type: ignore[arg-type]


def _dropped(listing: Listing) -> dict[str, str]:
    return {dropped.file: dropped.reason for dropped in listing.dropped}


def test_radiography_lists_masks_and_a_fourth_class(tmp_path: Path) -> None:
    _files(
        tmp_path,
        "COVID/images/COVID-1.png",
        "COVID/masks/COVID-1.png",
        "COVID/masks/COVID-9.png",
        "Lung_Opacity/images/Lung_Opacity-1.png",
        "Normal/images/Normal-1.png",
        "Normal/images/notes.txt",
        "Viral Pneumonia/Viral Pneumonia-1.png",
        "COVID.metadata.xlsx",
    )
    listing = _scan("radiography", tmp_path)
    assert {(row.image, row.label, row.raw_label, row.lung_mask) for row in listing.rows} == {
        ("COVID/images/COVID-1.png", "covid-19", "COVID", "COVID/masks/COVID-1.png"),
        ("Lung_Opacity/images/Lung_Opacity-1.png", "lung-opacity", "Lung_Opacity", None),
        ("Normal/images/Normal-1.png", "normal", "Normal", None),
        ("Viral Pneumonia/Viral Pneumonia-1.png", "viral-pneumonia", "Viral Pneumonia", None),
    }
    assert _dropped(listing) == {
        "COVID.metadata.xlsx": "not in a class folder",
        "COVID/masks/COVID-9.png": "not in images/, nor the mask of an image",
        "Normal/images/notes.txt": "not an image by its name (*.txt)",
    }


def test_radiography_refuses_a_folder_that_is_not_a_class(tmp_path: Path) -> None:
    _files(tmp_path, "COVID/images/a.png", "Viral_Pneumonia/images/b.png")
    with pytest.raises(LabelError, match=r"Viral_Pneumonia: is not a class folder.*Did you mean 'Viral Pneumonia'"):
        _scan("radiography", tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("person1000_bacteria_2931.jpeg", ("person1000", "bacteria")),
        ("person1_virus_11.jpeg", ("person1", "virus")),
        ("IM-0115-0001.jpeg", ("IM-0115", "normal")),
        ("IM-0011-0001-0002.jpeg", ("IM-0011", "normal")),
        ("NORMAL2-IM-1427-0001.jpeg", ("NORMAL2-IM-1427", "normal")),
        ("BACTERIA-1008087-0001.jpeg", ("BACTERIA-1008087", "bacteria")),
        ("person1_fungus_11.jpeg", None),
        ("xperson1_virus_11.jpeg", None),
    ],
)
def test_kaggle_file_names_state_the_patient_and_the_kind(name: str, expected: tuple[str, str] | None) -> None:
    assert parse_name(name) == expected


def test_kaggle_lists_one_copy_and_names_the_others(tmp_path: Path) -> None:
    _files(
        tmp_path,
        "chest_xray/train/PNEUMONIA/person1_bacteria_1.jpeg",
        "chest_xray/test/PNEUMONIA/person1_virus_6.jpeg",
        "chest_xray/val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
        "chest_xray/train/NORMAL/.DS_Store",
        "chest_xray/chest_xray/train/PNEUMONIA/person1_bacteria_1.jpeg",
        "chest_xray/__MACOSX/._train",
    )
    listing = _scan("kaggle-pneumonia", tmp_path)
    assert Counter((row.label, row.patient_id) for row in listing.rows) == {
        ("bacterial-pneumonia", "person1"): 1,
        ("viral-pneumonia", "person1"): 1,  # the same number in both kinds counts as one patient, to be safe
        ("normal", "NORMAL2-IM-1427"): 1,
    }
    assert len(listing.dropped) == 3
    assert _dropped(listing)["chest_xray/train/NORMAL/.DS_Store"] == "hidden file"


def test_kaggle_refuses_a_name_that_contradicts_its_folder(tmp_path: Path) -> None:
    _files(tmp_path, "train/NORMAL/person1_virus_1.jpeg", "train/NORMAL/IM-0001-0001.jpeg")
    with pytest.raises(LabelError, match=r"'train/NORMAL/person1_virus_1.jpeg'.*contradicts its folder"):
        _scan("kaggle-pneumonia", tmp_path)


def test_folder_maps_whole_folder_names(tmp_path: Path) -> None:
    _files(tmp_path, "train/Sick/a.png", "test/Sick/deep/b.PNG", "normal/c.jpg", "normal/readme.md")
    listing = _scan("folder", tmp_path, mapping={"Sick": "pneumonia"})
    assert {(row.image, row.label, row.raw_label) for row in listing.rows} == {
        ("train/Sick/a.png", "pneumonia", "Sick"),
        ("test/Sick/deep/b.PNG", "pneumonia", "Sick"),
        ("normal/c.jpg", "normal", "normal"),
    }
    assert _dropped(listing) == {"normal/readme.md": "not an image by its name (*.md)"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, r"(?s)no label for 1 term \(1 images\).* 1  'Sick'.*`mapping={'Sick': 'LABEL'}`"),
        ({"Sick": "pneumonai"}, r"`mapping={'Sick': 'pneumonai'}`: the label 'pneumonai'.*Did you mean 'pneumonia'"),
        ({"Sick": "pneumonia", "Wel": "normal"}, r"`mapping={'Wel': 'normal'}`: there is no folder"),
    ],
)
def test_folder_refuses_folders_without_a_known_label(tmp_path: Path, mapping: dict[str, str], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        _scan("folder", _files(tmp_path, "Sick/a.png", "normal/b.png"), mapping=mapping)


def test_folder_drops_unmapped_names_by_option(tmp_path: Path) -> None:
    listing = _scan("folder", _files(tmp_path, "Sick/a.png", "normal/b.png"), drop_unmapped=True)
    assert [row.image for row in listing.rows] == ["normal/b.png"]
    assert _dropped(listing) == {"Sick/a.png": "folder 'Sick' has no label"}


NIH = """Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position
1.png,No Finding,7,058Y,M,PA
2.png,Pneumonia,7,60,F,AP
3.png,Effusion|Pneumonia,8,,,
"""
NIH_COLUMNS = {
    "image": "Image Index",
    "label": "Finding Labels",
    "patient_id": "Patient ID",
    "age": "Patient Age",
    "sex": "Patient Gender",
    "view": "View Position",
}
NIH_MAP = {"No Finding": "normal", "Pneumonia": "pneumonia"}


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    _files(
        tmp_path, "images_001/images/1.png", "images_002/images/2.png", "images_002/images/3.png", "images_002/4.png"
    )
    (tmp_path / "labels.csv").write_text(NIH)
    return tmp_path / "labels.csv"


def test_csv_maps_whole_terms_and_finds_images_by_name(nih: Path) -> None:
    listing = _scan("csv", nih, columns=NIH_COLUMNS, mapping=NIH_MAP, drop_unmapped=True)
    assert [(r.image, r.label, r.patient_id, r.age, r.sex, r.view) for r in listing.rows] == [
        ("images_001/images/1.png", "normal", "7", 58.0, "M", "PA"),
        ("images_002/images/2.png", "pneumonia", "7", 60.0, "F", "AP"),
    ]
    assert _dropped(listing) == {
        "3.png": "label 'Effusion|Pneumonia' is not mapped",
        "images_002/4.png": "no row in the table",
    }


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({}, LabelError, r"(?s)no label for 1 term \(1 rows\).* 1  'Effusion\|Pneumonia'\n"),
        (
            {"columns": {**NIH_COLUMNS, "label": "Finding"}},
            UsageError,
            r"no such column\. Did you mean 'Finding Labels'",
        ),
        ({"columns": {**NIH_COLUMNS, "view": "Patient Gender"}}, ManifestError, r"labels.csv, row 2, view: has 'M'"),
        ({"columns": {**NIH_COLUMNS, "age": "View Position"}}, ManifestError, r"row 2, age: has 'PA'"),
        ({"images": Path("nowhere")}, UsageError, r"`images='nowhere'`: there is no such folder"),
    ],
)
def test_csv_names_what_it_refuses(
    nih: Path, change: dict[str, object], kind: type[PneumoscopeError], message: str
) -> None:
    options = {"columns": NIH_COLUMNS, "mapping": NIH_MAP, **change}
    with pytest.raises(kind, match=message):
        _scan("csv", nih, **options)


def test_csv_takes_the_maker_of_the_device(tmp_path: Path) -> None:
    _files(tmp_path, "1.png", "2.png")
    (tmp_path / "t.csv").write_text("image,label,device\n1.png,normal,GE  Healthcare\n2.png,normal,n/a\n")
    listing = _scan("csv", tmp_path / "t.csv", columns={"manufacturer": "device"})
    assert [row.manufacturer for row in listing.rows] == ["GE Healthcare", None]


def test_csv_needs_every_image_unless_an_option_drops_them(nih: Path) -> None:
    (nih.parent / "images_001/images/1.png").unlink()
    options = {"columns": NIH_COLUMNS, "mapping": {**NIH_MAP, "Effusion|Pneumonia": "pneumonia"}}
    with pytest.raises(ManifestError, match=r"1 images are not under .*'1\.png'.*`drop_missing=True`"):
        _scan("csv", nih, **options)
    assert len(_scan("csv", nih, **options, drop_missing=True).rows) == 2


def test_csv_refuses_a_repeated_or_ambiguous_image(nih: Path) -> None:
    options = {"columns": NIH_COLUMNS, "mapping": NIH_MAP, "drop_unmapped": True}
    _files(nih.parent, "images_003/images/1.png")
    with pytest.raises(ManifestError, match=r"row 2: '1\.png' names 2 files"):
        _scan("csv", nih, **options)
    (nih.parent / "images_003/images/1.png").unlink()
    nih.write_text(NIH + "2.png,Pneumonia,7,60,F,AP\n")
    with pytest.raises(ManifestError, match=r"row 5: names '2\.png' again; row 3 did"):
        _scan("csv", nih, **options)


METADATA = """patientid,offset,sex,age,finding,view,modality,folder,filename,license
1,3,M,65,"COVID-19, ARDS",AP Supine,X-ray,images,a.png,CC BY 4.0
1,,,,Pneumonia/Viral/COVID-19,PA,X-ray,images,b.png,
2,0,F,40,COVID-19,L,X-ray,images,c.png,
3,0,F,40,COVID-19,Axial,CT,volumes,d.nii.gz,
4,0,F,40,todo,PA,X-ray,images,e.png,
5,0,F,40,Streptococcus,PA,X-ray,images,absent.png,
6,0,F,40,Klebsiella,PA,X-ray,images,f.png,
7,0,F,40,COVID-19,?,X-ray,images,g.png,
"""


@pytest.fixture
def cohen(tmp_path: Path) -> Path:
    _files(tmp_path, *(f"images/{name}.png" for name in "abcefgx"))
    (tmp_path / "metadata.csv").write_text(METADATA)
    return tmp_path


def test_ieee8023_keeps_frontal_radiographs_with_a_finding(cohen: Path) -> None:
    listing = _scan("ieee8023", cohen)
    assert [(r.image, r.label, r.patient_id, r.study_id, r.view, r.age, r.license) for r in listing.rows] == [
        ("images/a.png", "covid-19", "1", "1, day 3", "AP Supine", 65.0, "CC BY 4.0"),
        ("images/b.png", "covid-19", "1", None, "PA", None, None),
        ("images/f.png", "bacterial-pneumonia", "6", "6, day 0", "PA", 40.0, None),
    ]
    assert _dropped(listing) == {
        "images/c.png": "view 'L', not stated to be frontal",
        "volumes/d.nii.gz": "modality 'CT', not a radiograph",
        "images/e.png": "finding 'todo': no label",
        "images/absent.png": "its image is not here",
        "images/g.png": "view '?', not stated to be frontal",
        "images/x.png": "no row in metadata.csv",
    }


def test_ieee8023_refuses_a_finding_that_its_table_lacks(cohen: Path) -> None:
    (cohen / "metadata.csv").write_text(METADATA + "8,0,F,40,Streptococus,PA,X-ray,images,x.png,\n")
    message = r"(?s)'Streptococus' \(like 'streptococcus'\?\).*'Streptococus': 'bacterial-pneumonia'"
    with pytest.raises(LabelError, match=message):
        _scan("ieee8023", cohen)
    assert _scan("ieee8023", cohen, mapping={"Streptococus": "bacterial-pneumonia"}).rows[-1].image == "images/x.png"


@pytest.mark.parametrize(
    ("cell", "expected"), [("65", 65), ("058Y", 58), ("018M", 1.5), ("010D", 10 / 365.25), ("", None), ("?", None)]
)
def test_ages_are_years_or_dicom_age_strings(cell: str, expected: float | None) -> None:
    assert parse_age(cell) == pytest.approx(expected)


def test_an_option_of_another_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`mapping`: means nothing to the source 'radiography'"):
        _scan("radiography", tmp_path, mapping={"a": "normal"})


def test_an_empty_folder_and_an_unknown_source_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no image of the layout 'radiography'"):
        _scan("radiography", tmp_path)
    with pytest.raises(UsageError, match=r"no such source\. Did you mean 'radiography'"):
        SOURCES.get("radiografy")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("source", "path", "expected"),
    [
        (
            "radiography",
            "radiography/COVID-19_Radiography_Dataset",
            {"covid-19": 1200, "normal": 1500, "viral-pneumonia": 700, "lung-opacity": 900},
        ),
        (
            "kaggle-pneumonia",
            "kaggle-pneumonia",
            {"normal": 200, "viral-pneumonia": 100, "bacterial-pneumonia": 100},
        ),
    ],
)
def test_the_real_sets_are_complete(shared: Path, source: str, path: str, expected: dict[str, int]) -> None:
    listing = _scan(source, shared / "data" / path)
    assert Counter(row.label for row in listing.rows) == expected
    assert listing.dropped == []


def _masked_table(folder: Path, **changes: str) -> Path:
    """Two images, of which the first has all masks."""
    for name in ("images/a.png", "images/b.png", "masks/a.png", "masks/heart.png", "masks/lead.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        picture = Image.new("L", (8, 8), 0)
        picture.paste(255, (2, 2, 6, 6))
        picture.save(folder / name)
    (folder / "broken.png").write_text("no picture")
    cells = {
        "lungs": "masks/a.png",
        "heart": "masks\\\\HEART.png",
        "lead": "./masks/lead.png",
        "what": "lungs",
        **changes,
    }
    (folder / "t.csv").write_text(
        f"image,label,{','.join(cells)}\nimages/a.png,normal,{','.join(cells.values())}\nimages/b.png,pneumonia,,-,,\n"
    )
    return folder / "t.csv"


MASK_COLUMNS = {"lung_mask": "lungs", "heart_mask": "heart", "ignore_mask": "lead", "lung_definition": "what"}


def test_csv_takes_masks_relative_to_the_root(tmp_path: Path) -> None:
    listing = _scan("csv", _masked_table(tmp_path), columns=MASK_COLUMNS)
    assert [(r.lung_mask, r.heart_mask, r.ignore_mask, r.lung_definition) for r in listing.rows] == [
        ("masks/a.png", "masks/heart.png", "masks/lead.png", "lungs"),
        (None, None, None, None),
    ]
    assert _dropped(listing) == {"broken.png": "no row in the table"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lungs": "masks/no.png"}, r"t\.csv, row 2, lung_mask: 'masks/no\.png' is not under"),
        ({"heart": "../heart.png"}, r"row 2, heart_mask: '\.\./heart\.png' is not under"),
        ({"lead": "broken.png"}, r"row 2, ignore_mask: 'broken\.png' cannot be read as a picture"),
        ({"what": "both"}, r"row 2, lung_definition: 'both' is none of lungs, lungs-with-heart"),
    ],
)
def test_csv_names_the_cells_of_wrong_masks(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        _scan("csv", _masked_table(tmp_path, **change), columns=MASK_COLUMNS)
