//! The page's style sheet, for light and dark.

/// Series colours after Okabe and Ito, which colour-blind readers can tell apart; lighter ones on dark.
pub(crate) const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d8dee4;--card:#f6f8fa;--beyond:#eaeef2;\
--c0:#0072b2;--c1:#c24f00;--c2:#00795a;--c3:#a3518a;--c4:#8a6d00;--c5:#3b4a59}\
@media(prefers-color-scheme:dark){:root{--paper:#12161b;--ink:#e6edf3;--soft:#9aa6b2;--rule:#303842;--card:#1b2129;\
--beyond:#1f2731;--c0:#5ab4f0;--c1:#ff9a4d;--c2:#3fcfa2;--c3:#e39ccd;--c4:#e3c44f;--c5:#b7c3cf}}\
*{box-sizing:border-box}\
body{margin:0 auto;max-width:1180px;padding:28px 22px 60px;background:var(--paper);color:var(--ink);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',sans-serif}\
h1{font-size:26px;line-height:1.25;margin:0 0 6px}h2{font-size:19px;margin:38px 0 6px;padding-top:14px;border-top:1px solid var(--rule)}\
h3{font-size:14.5px;margin:0 0 4px}p{margin:4px 0 10px;max-width:80ch}.soft,figcaption,.nothing{color:var(--soft)}\
.badge{display:inline-block;font-size:13px;font-weight:600;padding:2px 10px;border:1.5px solid currentColor;border-radius:12px;\
vertical-align:middle;margin-left:8px}.solved{color:var(--c2)}.clamped{color:var(--c4)}.fallback,.unimproved{color:var(--c1)}\
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:18px 0}\
.cards div{background:var(--card);border-radius:8px;padding:10px 14px}.cards b{display:block;font-size:20px;line-height:1.35}\
.cards span{color:var(--soft);font-size:13px}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));gap:22px 26px;margin-top:12px}\
figure{margin:0;max-width:470px}figure>svg{width:100%;height:auto;display:block}figcaption,.nothing{font-size:13px;margin-top:4px}\
.equation{color:var(--ink);font-size:14px}\
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;margin:4px 0 0;padding:0;font-size:13px}\
.legend li{display:flex;align-items:center;gap:5px}.legend svg{width:28px;height:14px;overflow:visible}\
svg text{fill:var(--ink);font-size:12.5px;font-family:inherit}svg .tick{fill:var(--soft);font-size:12px}\
.grid{stroke:var(--rule);stroke-width:.7;fill:none}.frame{fill:none;stroke:var(--soft);stroke-width:.8}\
.s0{--c:var(--c0)}.s1{--c:var(--c1);--dash:7 3}.s2{--c:var(--c2);--dash:2 2.5}.s3{--c:var(--c3);--dash:9 3 2 3}\
.s4{--c:var(--c4);--dash:12 4}.s5{--c:var(--c5);--dash:4 2}.faint{--c:var(--soft);stroke-opacity:.55}\
.line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round;stroke-dasharray:var(--dash,none)}\
.line.faint{stroke-width:1.1}.rounding{stroke:var(--soft);stroke-width:1}\
.mark{fill:var(--c);stroke:var(--paper);stroke-width:1}.mark.hollow{fill:var(--paper);stroke:var(--c);stroke-width:1.7}\
.mark.cross{fill:none;stroke:var(--c);stroke-width:2}.ring{fill:none;stroke:var(--ink);stroke-width:1.8}.beyond{fill:var(--beyond)}\
.summary{font-size:16px;margin:10px 0 4px}.bar{fill:var(--c)}.bar.faint{fill-opacity:.35;stroke:none}.cell{fill:var(--c0);stroke:var(--rule);stroke-width:.7}svg .rank{font-size:11.5px}svg .rank,svg .over{paint-order:stroke;stroke:var(--paper);stroke-width:2.5px;stroke-linejoin:round}.scroll{overflow-x:auto}table{border-collapse:collapse;margin:12px 0 20px;font-size:14px}\
caption{text-align:left;font-weight:600;padding-bottom:5px}th,td{text-align:left;vertical-align:top;padding:5px 14px 5px 0;\
border-bottom:1px solid var(--rule)}th{font-weight:600;white-space:nowrap}td{white-space:nowrap}.facts td,td.text{white-space:normal;overflow-wrap:anywhere}td.text{min-width:150px}caption.aside{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}\
.facts th{color:var(--soft);font-weight:500;width:210px}.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
tr.strong td{font-weight:600;background:var(--card)}\
@media(max-width:560px){.facts tr{display:block;border-bottom:1px solid var(--rule)}.facts th,.facts td{display:block;width:auto;border:0;padding:2px 0}}\
@media print{body{max-width:none}figure,table{break-inside:avoid}}";
