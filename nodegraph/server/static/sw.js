(function() {
	// src/pwa/shell.ts
	var PREFIX = "nodegraph-shell";
	/** Addresses of the page below the worker's own. */
	var PAGES = /* @__PURE__ */ new Set(["", "generate"]);
	/** Files beside the page that keep their name when they change. */
	var NAMED = [
		"favicon.svg",
		"manifest.webmanifest",
		"icon-192.png",
		"icon-512.png"
	];
	/** What a proxy says of a server that is away. */
	var AWAY = /* @__PURE__ */ new Set([
		502,
		503,
		504
	]);
	/** Files that are fetched at once: the page has work of its own meanwhile. */
	var AT_ONCE = 4;
	function startShell(scope, { build, files }) {
		const base = new URL("./", scope.location.href).href;
		const prefix = `${PREFIX} ${base} `;
		const name = prefix + build;
		scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
		scope.addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => scope.clients.claim())));
		scope.addEventListener("fetch", (event) => {
			const answer = answerOf(event.request);
			if (answer !== null) event.respondWith(answer);
		});
		function answerOf(request) {
			if (request.method !== "GET" || !request.url.startsWith(base)) return null;
			const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
			if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
			if (path.startsWith("assets/")) return keptOr(request);
			return NAMED.includes(path) ? newest(request, request.url) : null;
		}
		/** From the server; what is kept where that is away. */
		async function newest(request, key) {
			const kept = () => keptIn(name, key);
			try {
				const answer = await scope.fetch(request);
				return AWAY.has(answer.status) ? await kept() ?? answer : answer;
			} catch (error) {
				const answer = await kept();
				if (answer === void 0) throw error;
				return answer;
			}
		}
		/** What is kept of any build, for its name tells its content; else from the server. */
		async function keptOr(request) {
			return await keptFile(request.url) ?? scope.fetch(request);
		}
		async function keptFile(url) {
			for (const key of await ownCaches()) {
				const found = await keptIn(key, url);
				if (found !== void 0) return found;
			}
		}
		function keptIn(cacheName, url) {
			return scope.caches.match(url, {
				...LOOSELY,
				cacheName
			});
		}
		/** Keep all of this build, or nothing: half a page would be worse than none. */
		async function keepAll() {
			if (await keptIn(name, base) !== void 0) return;
			try {
				const page = await fetched(base, "no-cache");
				checkPage(await page.clone().text(), files);
				const cache = await scope.caches.open(name);
				const left = [...files, ...NAMED];
				const work = async () => {
					for (let path = left.pop(); path !== void 0; path = left.pop()) {
						const url = base + path;
						const isHashed = path.startsWith("assets/");
						const known = isHashed ? await keptFile(url) : void 0;
						await cache.put(url, known ?? await fetched(url, isHashed ? "default" : "no-cache"));
					}
				};
				await Promise.all(Array.from({ length: AT_ONCE }, work));
				await cache.put(base, page);
			} catch (error) {
				await scope.caches.delete(name);
				throw error;
			}
		}
		/** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
		async function fetched(url, cache) {
			const answer = await scope.fetch(url, {
				cache,
				credentials: "same-origin"
			});
			if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
			return answer;
		}
		/** The caches of this server, the newest first. */
		async function ownCaches() {
			return (await scope.caches.keys()).filter((key) => key.startsWith(prefix)).reverse();
		}
		async function dropOld() {
			const others = (await ownCaches()).filter((key) => key !== name);
			for (const key of others.slice(1)) await scope.caches.delete(key);
		}
	}
	/** The same file comes packed in several ways, and a page's address may carry a question. */
	var LOOSELY = {
		ignoreVary: true,
		ignoreSearch: true
	};
	/** Names of the files that a page loads first, below its own address. */
	function filesOf(page) {
		return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
	}
	/** The page that the server has just now must be of this build. */
	function checkPage(page, files) {
		const strange = filesOf(page).find((path) => !files.includes(path));
		if (strange !== void 0) throw new Error(`${strange} is of another build`);
	}
	// src/pwa/worker.ts
	/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
	startShell(self, {
		build: "8567f2752d3cba1a",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-c4TMRVq3.js",
			"assets/AppMode-AgtnxsaX.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-DT3YFd5q.js",
			"assets/CommentsPanel-DR9KlIx4.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CompareDialog-CJZRpq7-.js",
			"assets/CompareDialog-eYtAVuOg.css",
			"assets/Completing-aU1PcqGh.js",
			"assets/Credentials-C91OP_Qn.js",
			"assets/Credentials-Cirk6yvg.css",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-BqwICvsE.js",
			"assets/FileView-Dt71ez9d.js",
			"assets/FrameSteps-CHPOBLZf.js",
			"assets/GalleryPanel-BgHZhUuH.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-BAotcGEL.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-BPgtF02W.js",
			"assets/GetModelsDialog-BfdBXFJL.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-BK6xQJcq.js",
			"assets/HelpPanel-1MuKkPnQ.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-D82dsPJ8.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InspectorPanel-MWf71yzY.js",
			"assets/InstallPack-CV5yOMoT.js",
			"assets/LackingDialog-BflVDJjf.js",
			"assets/LessonHost-DvlDFYBx.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-BSRy-aGA.js",
			"assets/License-ChsO7aGu.css",
			"assets/LineageView-BC4FYF14.js",
			"assets/LineageView-C0_ReHPS.css",
			"assets/LivePlot-R-rvOtKj.js",
			"assets/LivePlotDialog-CKKZH74K.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-ChHd_Wey.js",
			"assets/MaskDialog-D2DQ4ELV.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MergeDialog-B1Z0rQGT.js",
			"assets/MissingDialog-DTxpB5hk.js",
			"assets/ModelsPanel-CQGOcmq0.css",
			"assets/ModelsPanel-DEt2L7u6.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/MoleculeView-npVLpYL9.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/NodePresetsDialog-CgOrXWtv.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OpenDialog-Prj75CjR.js",
			"assets/OrganizeDialog-CPO5O2Q_.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-CkvFQXSw.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-U53fzfaw.js",
			"assets/PaintingView-Dg4EUKOE.js",
			"assets/PaintingView-J2tBfXGs.css",
			"assets/PalettePanel-CBrz7iev.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/ParametersPanel-Ds6XSYAX.js",
			"assets/PlotFile-CYJooMUa.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/PlotView-sC9zMGtK.js",
			"assets/Presence-BHos_2S0.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-HULY1NeK.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-DJs_7eYw.js",
			"assets/QueuePanel-AJPB6LIu.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-sA9rSUV1.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-DS1sL-I5.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-CxLoP1VX.js",
			"assets/Section-CS2SAt1q.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SendDialog-v0MPrE_m.js",
			"assets/SettingsDialog-BoUwVAif.js",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/ShapeView-C_qn3GY2.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-DojOMItX.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-CQ4r84hy.js",
			"assets/SmallPlot-D4HOsEvb.js",
			"assets/SoundPlayer-CbfvfVma.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-Dzox93rf.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-CC6Nh0eI.js",
			"assets/SweepDialog-CurTx83H.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-C9KRfhoU.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-fh6jRxrZ.js",
			"assets/TranslatedDialog-D-D7yqZ1.js",
			"assets/VideoPlayer-CMTSeQut.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-CbwlZl-c.css",
			"assets/Viewer-D3w5g_RP.js",
			"assets/actions-Cb-BCOJy.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/conflict-CtacKbhO.js",
			"assets/de-C7zEYuTo.js",
			"assets/de-D07tKtbp.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-DQzbRDyT.js",
			"assets/drawing-CwPWQVP2.js",
			"assets/ellipsis-vertical-HIZJEgAx.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-lvDaj_iO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-C96QjH3x.js",
			"assets/es-CmIcIpRn.js",
			"assets/exportSvg-eX4Nl0Kb.js",
			"assets/exporting-EJWrCheW.js",
			"assets/eye-off-DqFjQmJE.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-tFvOK7jR.js",
			"assets/frames-2EvmyHbO.js",
			"assets/graph-BmnmtKaU.js",
			"assets/graph-DZ8R-fHl.css",
			"assets/grid-Cm1Y1bWO.js",
			"assets/grid-D6o0jDOC.js",
			"assets/icons-C7mpDlYV.js",
			"assets/importing-DlbqCk9D.js",
			"assets/index-CPoSrS7S.js",
			"assets/index-DCZ9eYC0.css",
			"assets/install-BFS0bdVX.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-CB-i8SQF.js",
			"assets/kit-BsbknK1j.css",
			"assets/kit-hFDE2Dp-.js",
			"assets/late-B5HuZPmp.js",
			"assets/late-BaDVDvzQ.js",
			"assets/late-Ckn6BCbO.js",
			"assets/late-CpIl5QhY.js",
			"assets/late-DIS_trMl.js",
			"assets/late-DuoGOs9y.js",
			"assets/layerActions-DxoQY_zu.js",
			"assets/lessons-CNUPqwgG.js",
			"assets/modelOffers-TPJBIMcY.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-B7wWnpts.js",
			"assets/palette-DId1GuJu.js",
			"assets/pictures-XRDnEDzT.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-B0Ch0E6X.js",
			"assets/resolve-Dgd35Nl8.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-BsvIebE-.js",
			"assets/saving-DvM_uWJJ.js",
			"assets/share-CcMyIhrV.js",
			"assets/shared-BKU38BBS.css",
			"assets/shared-e3CZPbeg.js",
			"assets/sides-DlY4TvQ9.js",
			"assets/start-DmKX1Vd1.js",
			"assets/starting-CwMYnQCA.js",
			"assets/states-v9kK-p-q.js",
			"assets/steps-Br6DIV-V.js",
			"assets/taking-uKYClqeS.js",
			"assets/typeTexts-DCGoygGP.js",
			"assets/useConnection-BpUW2h8o.js",
			"assets/useFile-DYs1U69a.js",
			"assets/useZoom-B9zdNqs_.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-DSe-4IML.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-Bhy7KBZt.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-JjaPfaOZ.js"
		]
	});
})();
