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
_NEGATION = frozenset({"NOT", "NO", "NON", "NICHT", "KEIN", "KEINE", "PAS", "SIN", "SENZA", "OHNE", "WITHOUT"})
# Codes of SNOMED RT and SNOMED CT: thorax, lung; head, breast, abdomen, pelvis, spine (PS3.16 Annex L).
_CHEST_CODES = frozenset({"TD3000", "T28000", "51185008", "39607008"})
_OTHER_CODES = frozenset({"TD1100", "T04000", "TD4000", "TD6000", "T11500", "69536005", "76752008", "113345001"})


def body_part_of(term: str) -> BodyPart:
    """Return which part of the body a term names.

    Args:
        term: Value of BodyPartExamined, in any case, language and script; empty where the file has none.

    Returns:
        "chest"; "other": another part, spine and breast among them, or a negation; "unknown": the term is in no table;
        "unspecific": it names no part.
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


def _is_spine(word: str) -> bool:
    """Return whether a compound such as TSPINE or BRUSTWIRBELSAEULE names a spine, or a Chinese word a vertebra."""
    return word.endswith(("SPINE", "WIRBELSAULE", "WIRBELSAEULE", "WIRBEL")) or any(sign in word for sign in "椎乳")


def _fold(term: str) -> str:
    """Return a term in capitals and without accents."""
    parts = unicodedata.normalize("NFKD", term.strip().upper())
    return unicodedata.normalize("NFC", "".join(sign for sign in parts if not unicodedata.combining(sign)))
