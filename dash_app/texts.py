"""The words of the control room, in Chinese and English."""

from django.http import HttpRequest

LANGUAGES = ("zh", "en")
LANGUAGE_COOKIE = "tiaodu_lang"
THEMES = ("dark", "light")
THEME_COOKIE = "tiaodu_theme"

# each text first in Chinese, then in English
TEXTS: dict[str, tuple[str, str]] = {
    "name": ("调度", "Tiaodu"),
    "subtitle": ("全国算力网", "national compute grid"),
    "skip": ("跳到内容", "Skip to content"),
    "grid_clock": ("网内时钟", "Grid clock"),
    "log_out": ("退出", "Log out"),
    "log_in": ("登录", "Log in"),
    "log_in_lead": ("观测、预测、规划、协商、调度", "Observe, forecast, plan, agree, dispatch"),
    "username": ("用户名", "User name"),
    "password": ("密码", "Password"),
    "wrong_login": ("用户名或密码不对。", "The user name or the password is wrong."),
    "too_many_logins": (
        "尝试次数过多，请五分钟后再试。",
        "Too many wrong passwords. Try again in five minutes.",
    ),
    "refused_title": ("没有查看权限", "Not yours to see"),
    "refused_text": (
        "您的角色不能查看整个算力网。如需权限，请联系算力网管理员。",
        "Your role does not see the whole grid. Ask a grid admin if it should.",
    ),
    "language_switch": ("English", "中文"),
    "language_switch_label": ("Switch to English", "切换为中文"),
    "theme_switch_label": ("切换深色/浅色", "Switch between dark and light"),
    "theme_dark": ("深色", "Dark"),
    "theme_light": ("浅色", "Light"),
    "demo_notice": (
        "演示：真实负载轨迹，布局为人为设定",
        "Demo: real traces, constructed placement",
    ),
    "schematic": ("示意图", "schematic"),
    "connecting": ("连接中", "Connecting"),
    "live": ("实时", "Live"),
    "stale": ("数据停滞", "No new data"),
    "offline": ("连接中断，正在重连", "Connection lost, reconnecting"),
    "signed_out": ("登录已失效", "Signed out"),
    "supply": ("供给", "Supply"),
    "supply_hint": ("已知可用容量", "known capacity"),
    "demand": ("需求", "Demand"),
    "headroom": ("余量", "Headroom"),
    "unmet": ("排队中", "Unmet"),
    "unmet_hint": ("尚未运行的需求", "demand that waits"),
    "allocated": ("占用", "allocated"),
    "queued": ("排队", "queued"),
    "capacity": ("容量", "capacity"),
    "share_supply": ("占供给 {value}", "{value} of supply"),
    "share_demand": ("占需求 {value}", "{value} of demand"),
    "all_pools_known": ("资源池状态齐全", "every pool is known"),
    "unknown_pools": ("{n} 个资源池未知", "unknown pools: {n}"),
    "stale_pools": ("{n} 个资源池过时", "stale pools: {n}"),
    "unit_gpu": ("GPU", "GPU"),
    "quality_good": ("正常", "good"),
    "quality_stale": ("过时", "stale"),
    "quality_suspect": ("存疑", "suspect"),
    "quality_unknown": ("未知", "unknown"),
    "age": ("{age}前", "{age} old"),
    "age_now": ("刚刚", "just now"),
    "unit_s": ("{n} 秒", "{n} s"),
    "unit_min": ("{n} 分钟", "{n} min"),
    "unit_h": ("{n} 小时", "{n} h"),
    "unit_d": ("{n} 天", "{n} d"),
    "trend_label": ("过去 24 小时走势", "trend of the last 24 h"),
    "map_title": ("供需地图", "Supply and demand"),
    "map_legend": ("需求 ÷ 容量", "demand ÷ capacity"),
    "legend_area": ("圆面积 = 容量", "circle area = capacity"),
    "legend_hub": ("双环 = 国家枢纽", "double ring = national hub"),
    "legend_none": ("无资源池", "no pools"),
    "legend_stale": ("◐ 过时", "◐ stale"),
    "legend_unknown": ("? 未知", "? unknown"),
    "flow_DRAFT": ("草案", "draft"),
    "flow_PROPOSED": ("待批", "proposed"),
    "flow_APPROVED": ("已批", "approved"),
    "flow_RUNNING": ("执行中", "running"),
    "flows": ("调度", "moves"),
    "map_as_table": ("以表格查看", "As a table"),
    "map_caption": ("各地区的容量、需求与数据质量", "Capacity, demand and data quality by region"),
    "region": ("地区", "Region"),
    "site": ("站点", "Site"),
    "pool": ("资源池", "Pool"),
    "utilization": ("利用率", "Utilization"),
    "quality": ("质量", "Quality"),
    "carbon": ("碳强度", "Carbon"),
    "price": ("能耗成本", "Energy cost"),
    "pools_n_one": ("1 个资源池", "1 pool"),
    "pools_n": ("{n} 个资源池", "{n} pools"),
    "forecast_title": ("预测", "Forecast"),
    "show": ("显示", "Show"),
    "whole_grid": ("全网", "Whole grid"),
    "regions": ("地区", "Regions"),
    "pools": ("资源池", "Pools"),
    "measured": ("实测需求", "measured demand"),
    "median": ("预测中位数", "median"),
    "band": ("10–90% 区间", "10–90 % band"),
    "upper": ("95% 分位", "0.95 quantile"),
    "now": ("现在", "now"),
    "issued": ("发布于 {time}", "issued {time}"),
    "model": ("模型 {name}", "model {name}"),
    "fallback": ("退化预测：{reason}", "Fallback: {reason}"),
    "fallback_no-model": ("尚无模型", "no model yet"),
    "fallback_model-failed": ("模型失败", "the model failed"),
    "fallback_too-little-history": ("历史过短", "too little history"),
    "fallback_gap": ("数据缺口", "a gap in the data"),
    "fallback_flat-line": ("数据恒定不变", "a flat line"),
    "fallback_stale": ("数据过时", "stale data"),
    "fallback_all-unknown": ("数据全部未知", "nothing is known"),
    "no_forecast": ("还没有预测", "No forecast yet"),
    "series_failed": ("曲线读取失败：{reason}", "The series could not be read: {reason}"),
    "loading": ("读取中…", "Loading…"),
    "plans_title": ("调度方案", "Plans"),
    "planned_at": ("{time} 求解", "solved {time}"),
    "waiting_n": ("{n} 组等待", "{n} groups wait"),
    "run_OPTIMAL": ("最优", "optimal"),
    "run_WITHIN_GAP": ("在差距内", "within gap"),
    "run_TIME_LIMIT": ("到时限", "time limit"),
    "run_NOTHING_TO_DO": ("无需调度", "nothing to do"),
    "run_INFEASIBLE": ("无可行解", "infeasible"),
    "no_plans": ("目前没有方案", "No plans just now"),
    "no_plans_hint": (
        "优化器按计划运行；有值得做的调度时方案会出现在这里。",
        "The optimizer runs on schedule; a plan appears here when a move is worth making.",
    ),
    "state_DRAFT": ("草案", "Draft"),
    "state_PROPOSED": ("待批", "Proposed"),
    "state_APPROVED": ("已批准", "Approved"),
    "state_DISPATCHING": ("执行中", "Dispatching"),
    "state_COMPLETED": ("已完成", "Completed"),
    "state_PARTIAL": ("部分完成", "Partly done"),
    "state_FAILED": ("失败", "Failed"),
    "state_SETTLED": ("已结算", "Settled"),
    "state_REJECTED": ("已驳回", "Rejected"),
    "state_EXPIRED": ("已过期", "Expired"),
    "state_SUPERSEDED": ("已被取代", "Superseded"),
    "state_CANCELLED": ("已取消", "Cancelled"),
    "saving": ("预计节省", "predicted saving"),
    "part_energy_usd": ("能耗", "energy"),
    "part_carbon_usd": ("碳", "carbon"),
    "part_delay_usd": ("等待", "delay"),
    "part_unmet_usd": ("未满足", "unmet"),
    "part_egress_usd": ("数据传输", "egress"),
    "part_churn_usd": ("变动", "churn"),
    "gap": ("最优差距 ≤ {value}", "gap ≤ {value}"),
    "do_nothing": ("不动 {cost}", "do nothing {cost}"),
    "objective": ("全部方案 {cost}", "with all plans {cost}"),
    "realised": ("实际 {value}", "realised {value}"),
    "workloads_n": ("{n} 个任务", "{n} workloads"),
    "passage_BOUND": ("待发", "bound"),
    "passage_WITHDRAWING": ("撤回中", "withdrawing"),
    "passage_SUBMITTING": ("提交中", "submitting"),
    "passage_PLACED": ("已排入", "placed"),
    "passage_RUNNING": ("运行中", "running"),
    "passage_FINISHED": ("已完成", "finished"),
    "passage_SKIPPED": ("跳过", "skipped"),
    "passage_RELEASING": ("退回中", "releasing"),
    "passage_RETURNED": ("已退回", "returned"),
    "passage_NEEDS_HUMAN": ("需人工处理", "needs a person"),
    "workloads_n_one": ("1 个任务", "1 workload"),
    "consent": ("审批", "Consent"),
    "role_OPERATOR": ("算力网调度员", "grid operator"),
    "role_REGIONAL_ADMIN": ("地区管理员", "regional admin"),
    "role_AUDITOR": ("审计员", "auditor"),
    "role_GRID_ADMIN": ("算力网管理员", "grid admin"),
    "role_PROVIDER": ("供应方", "provider"),
    "operator": ("调度员", "operator"),
    "consent_APPROVE": ("同意", "agreed"),
    "consent_REJECT": ("反对", "refused"),
    "consent_open": ("待定", "open"),
    "decide_within": ("剩余 {grid}（实时 {real}）", "{grid} left to decide ({real} real)"),
    "decide_within_plain": ("剩余 {grid}", "{grid} left to decide"),
    "decide_over": ("决定期限已过", "time to decide is over"),
    "propose": ("提交", "Propose"),
    "approve": ("批准", "Approve"),
    "reject": ("驳回", "Reject"),
    "cancel": ("返回", "Back"),
    "reject_reason": ("驳回理由", "Why not?"),
    "comment": ("说明", "Comment"),
    "confirm_reject": ("确认驳回", "Reject plan"),
    "approve_label": ("批准方案 {plan}", "Approve plan {plan}"),
    "reject_label": ("驳回方案 {plan}", "Reject plan {plan}"),
    "propose_label": ("提交方案 {plan}", "Propose plan {plan}"),
    "sending": ("提交中…", "Sending…"),
    "done_propose": ("方案 {plan} 已提交", "Plan {plan} is proposed"),
    "done_approve": ("已批准方案 {plan}", "You approved plan {plan}"),
    "done_reject": ("已驳回方案 {plan}", "You rejected plan {plan}"),
    "action_failed": (
        "没有送达，请重试。",
        "It did not get through. Nothing was decided; try again.",
    ),
    "moves_of_plan": ("查看 {n} 项调度", "{n} moves"),
    "alerts_title": ("告警", "Alerts"),
    "no_alerts": ("没有告警", "No alerts"),
    "severity_critical": ("严重", "Critical"),
    "severity_warning": ("警告", "Warning"),
    "severity_info": ("提示", "Info"),
    "acknowledged_by": ("{user} 已确认", "acknowledged by {user}"),
    "acknowledge": ("确认", "Acknowledge"),
    "acknowledge_label": ("确认告警：{alert}", "Acknowledge: {alert}"),
    "since": ("持续 {age}", "for {age}"),
    "more_alerts": ("另有 {n} 条", "{n} more"),
    "system_title": ("系统", "System"),
    "system_unknown": ("守护进程状态未知", "supervisor not known"),
    "child_waiting": ("等待", "waiting"),
    "child_ready": ("运行", "up"),
    "child_starting": ("启动中", "starting"),
    "child_backing-off": ("等待重启", "restarting"),
    "child_stopped": ("停止", "down"),
    "restarts_one": ("重启 1 次", "1 restart"),
    "restarts": ("重启 {n} 次", "{n} restarts"),
    "data_source": (
        "负载轨迹 Helios、Philly · 省级碳因子为年度常数 · 电价为替代区域",
        "Traces: Helios, Philly · provincial carbon: yearly constants · energy prices: stand-in",
    ),
    "no_script": (
        "实时页面需要 JavaScript。",
        "The live page needs JavaScript.",
    ),
}

REASON_CODES: dict[str, tuple[str, str]] = {
    "capacity-needed-here": ("本地需要这部分容量", "We need this capacity ourselves"),
    "data-must-stay": ("数据不得离开本地", "The data must stay here"),
    "cost": ("成本不合理", "The cost is not justified"),
    "timing": ("时间不合适", "Bad timing"),
    "maintenance": ("维护期间", "Maintenance is planned"),
    "not-convinced": ("依据不足", "Not convinced by the reason"),
    "other": ("其他", "Other"),
}


def texts_in(lang: str) -> dict[str, str]:
    """Return every text in one language by its key.

    Args:
        lang: `zh` or `en`.
    """
    return {key: pair[LANGUAGES.index(lang)] for key, pair in TEXTS.items()}


def reasons_in(lang: str) -> dict[str, str]:
    """Return the reasons for a rejection in one language by their code."""
    return {code: pair[LANGUAGES.index(lang)] for code, pair in REASON_CODES.items()}


def language_of(request: HttpRequest) -> str:
    """Return the language that a person chose, or else what the browser asks for first."""
    chosen = request.COOKIES.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    for wish in request.headers.get("Accept-Language", "").split(","):
        lang = wish.split(";")[0].strip().lower()[:2]
        if lang in LANGUAGES:
            return lang
    return LANGUAGES[0]


def theme_of(request: HttpRequest) -> str:
    """Return the theme that a person chose; dark when none was chosen."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]
