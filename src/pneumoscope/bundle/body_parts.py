"""Which part of the body a file names, by explicit tables of whole words in several languages.

BodyPartExamined (PS3.3 C.8.1.1) has defined terms (PS3.16 Annex L), and devices write free text into it: other
languages, abbreviations, codes of SNOMED RT. A part of a word is no match: THORACOLUMBAR is a spine.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

BodyPart = Literal["chest", "other", "unknown", "unspecific"]


def _terms(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNSPECIFIC = frozenset({"", "UNKNOWN", "OTHER", "UNSPECIFIED", "NONE"})
_CHEST = _terms(
    """
    CHEST CHESTPA CHESTAP CHESTLAT PORTCHEST CXR PCXR THX THORAX HEMITHORAX THORACIC THORAXES LUNG LUNGS
    PULMONARY MEDIASTINUM PLEURA RIB RIBS RIBCAGE BRUST BRUSTKORB BRUSTKASTEN LUNGE LUNGEN RIPPE RIPPEN
    THORACIQUE POITRINE POUMON POUMONS PULMONAIRE COTES TORAX TORACICO TORACICA PECHO PULMON PULMONES PULMONAR
    COSTILLA COSTILLAS PULMAO PULMOES PEITO TORACE PETTO POLMONE POLMONI POLMONARE COSTE BORSTKAS LONG LONGEN
    BROSTKORG BRYSTKASSE LUNGOR KEUHKOT PIERSIOWA PLUCA PLUCO HRUDNIK PLICE PLAMANI ГРУДЬ ГРУДИ ГРУДНАЯ ГРУДНОИ
    ЛЕГКИЕ ЛЕГКИХ ΘΩΡΑΚΑΣ ΘΩΡΑΚΟΣ ΘΩΡΑΚΑ GOGUS AKCIGER חזה صدر الصدر 흉부 폐
    """
)
# A spine or a breast often has the word for a chest beside it, so that these come first.
_SPINE_OR_BREAST = _terms(
    """
    SPINE SPINAL VERTEBRA VERTEBRAE VERTEBRAL COLUMN THORACOLUMBAR LUMBAR CERVICAL LUMBOSACRAL DORSOLUMBAR
    SACRUM WIRBELSAULE WIRBELSAEULE BWS BRUSTWS HWS LWS WIRBEL BRUSTWIRBEL COLONNE RACHIS COLUMNA COLUNA COLONNA
    VERTEBRALE RACHIDE DORSOLOMBAIRE KREGOSLUP BREAST BREASTS MAMMA MAMMAE MAMMO MAMMOGRAM MAMMOGRAPHY
    BRUSTDRUSE BRUSTDRUESE SEIN SEINS SENO MAMA MAMAS MAMELLE MAMMELLA BORST ПОЗВОНОЧНИК ПОЗВОНОЧНИКА МОЛОЧНАЯ
    """
)
_OTHER = _terms(
    """
    HEAD SKULL BRAIN FACE NECK JAW MANDIBLE MAXILLA ZYGOMA SINUS SINUSES ORBIT ORBITS TEETH TOOTH NOSE EAR EYE
    ABDOMEN ABDOMINAL ABD KUB PELVIS PELVIC HIP HIPS KIDNEY KIDNEYS LIVER BLADDER STOMACH COLON BOWEL UTERUS
    PROSTATE SHOULDER CLAVICLE SCAPULA HUMERUS ARM FOREARM ELBOW RADIUS ULNA WRIST HAND HANDS FINGER FINGERS
    THUMB LEG LEGS FEMUR THIGH KNEE KNEES PATELLA TIBIA FIBULA ANKLE FOOT FEET HEEL CALCANEUS TOE TOES EXTREMITY
    KOPF SCHADEL SCHAEDEL HALS BAUCH BECKEN HUFTE HUEFTE SCHULTER OBERARM UNTERARM ELLENBOGEN HANDGELENK DAUMEN
    OBERSCHENKEL UNTERSCHENKEL KNIE SPRUNGGELENK FUSS FERSE ZAHN ZAHNE TETE CRANE COU VENTRE BASSIN HANCHE
    EPAULE BRAS COUDE POIGNET MAIN DOIGT JAMBE GENOU CHEVILLE PIED CABEZA CRANEO CUELLO PELVICO CADERA HOMBRO
    BRAZO CODO MUNECA MANO DEDO PIERNA RODILLA TOBILLO PIE TESTA CRANIO COLLO ADDOME BACINO ANCA SPALLA BRACCIO
    GOMITO POLSO DITO GAMBA GINOCCHIO CAVIGLIA PIEDE CABECA PESCOCO QUADRIL OMBRO BRACO COTOVELO PUNHO MAO
    JOELHO TORNOZELO ГОЛОВА ЧЕРЕП ЖИВОТ ТАЗ КОЛЕНО КИСТЬ РУКА НОГА СТОПА
    """
)
_CHEST_NAMES = _terms("CHEST THORAX HEMITHORAX LUNG LUNGS RIB RIBS MEDIASTINUM PLEURA")
_INSIDE_CHEST = _terms("HEART STERNUM TRACHEA BRONCHUS AORTA DIAPHRAGM ESOPHAGUS")
UNLISTED = "UNLISTED"
"""Stands for a term of no table; it is in none itself."""
_NEGATION = frozenset({"NOT", "NO", "NON", "NICHT", "KEIN", "KEINE", "PAS", "SIN", "SENZA", "OHNE", "WITHOUT"})
# Codes of SNOMED RT and SNOMED CT (PS3.16 CID 4031 and Annex L). A code of the heart, of the trachea or of several
# parts that hold a chest is in neither table: such a file may well be a chest radiograph.
_CHEST_CODES = _terms(
    """
    TD3000 T28000 T280A0 TD3300 T11300 51185008 816094009 39607008 86598002 72410000 113197003
    """
)
_OTHER_CODES = _terms(
    """
    TD0300 TD04FF TD0801 TD0821 TD1000 TD1100 TD1213 TD14AE TD1460 TD1600 TD2220 TD2500 TD4000 TD6000 TD8000 TD8200
    TD8300 TD8500 TD8600 TD8700 TD8800 TD8810 TD9000 TD9100 TD9200 TD9400 TD9700 TD9800
    T04000 T11011 T11100 T11133 T11149 T11166 T11170 T11180 T11196 T11500 T11501 T11502 T11503 T11AD0 T11BF0 T12280
    T12310 T12340 T12410 T12700 T12710 T12730 T12740 T12750 T12770 T12980 T15290 T15420 T15430 T15460 T15680 T15710
    T15750 T15770 T22000 T57000 T58000 T59000 T59300 T63000 T65000 T74000 T92000 TA0100 TAA000
    66019005 421060004 371398005 371195002 774007 69536005 661005 363654007 42575006 45048000 16982005 29836001
    113345001 818981001 818982008 12921003 816092008 53120007 40983000 14975008 8205005 85562004 7569003 76505004
    61685007 68367000 72696002 30021000 56459004 29707007
    76752008 110517009 89546000 59066005 74386004 13881006 70925003 91609006 91397008 122494005 122495006 122496007
    1217253001 1217254007 1217256009 1217257000 54735007 64688005 79601000 51299004 22356005 85050009 72001000
    71341001 64234005 12611008 87342007 80144004 58742003 53620006 85856004 16953009 74670003 39723000 24136001
    70258002 27949001 2095001 69695003 30315005 14742008 71854001 28231008 15776009 89837001 41216001 12738006 81745001
    """
)


def body_part_of(term: str) -> BodyPart:
    """Return which part of the body a term names.

    Args:
        term: Value of BodyPartExamined, in any case, language and script; empty where the file has none.

    Returns:
        "chest"; "other": another part, spine and breast among them, or a negation; "unknown": the term is in no table,
        or names a part that a chest radiograph shows and may be taken for (heart, sternum, trachea); "unspecific": it
        names no part.
    """
    text = _fold(term)
    if text in _UNSPECIFIC:
        return "unspecific"
    codes = {re.sub(r"[^0-9A-Z]", "", word) for word in text.split()}
    words = set(re.findall(r"[^\W\d_]+", text))
    if codes & _OTHER_CODES or words & _NEGATION or words & _SPINE_OR_BREAST or any(map(_is_spine, words)):
        return "other"
    if codes & _CHEST_CODES or words & _CHEST or "胸" in text:  # Chinese and Japanese write no blanks between words
        return "chest"
    return "other" if words & _OTHER else "unknown"


def known_part(term: str) -> str:
    """Return a term by words of the tables alone: whatever else a sender wrote, such as a name, is left out.

    Args:
        term: As for `body_part_of`.

    Returns:
        CHEST or a word for a part of it; the words for other parts; `UNLISTED`, or a part in a chest, for a term of no
        table; empty where the term names no part. `body_part_of` gives the same for it as for the term.
    """
    kind, text = body_part_of(term), _fold(term)
    if kind == "unspecific":
        return ""
    if kind == "chest":
        return text if text in _CHEST_NAMES else "CHEST"
    if kind == "unknown":
        return text if text in _INSIDE_CHEST else UNLISTED
    words = [word for word in re.findall(r"[^\W\d_]+", text) if word in _OTHER | _SPINE_OR_BREAST | _NEGATION]
    codes = [code for word in text.split() if (code := re.sub(r"[^0-9A-Z]", "", word)) in _OTHER_CODES]
    known = " ".join(words + codes)
    return known if body_part_of(known) == "other" else "SPINE"


def _is_spine(word: str) -> bool:
    """Return whether a compound such as TSPINE or BRUSTWIRBELSAEULE names a spine, or a Chinese word a vertebra."""
    return word.endswith(("SPINE", "WIRBELSAULE", "WIRBELSAEULE", "WIRBEL")) or any(sign in word for sign in "椎乳")


def _fold(term: str) -> str:
    """Return a term in capitals and without accents."""
    parts = unicodedata.normalize("NFKD", term.strip().upper())
    return unicodedata.normalize("NFC", "".join(sign for sign in parts if not unicodedata.combining(sign)))
