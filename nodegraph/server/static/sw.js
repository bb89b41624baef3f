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
		build: "eb850e63af279445",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-sx87pY6z.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-DId1MgBO.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-C3D2ipMx.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CommentsPanel-lKi9x0IG.js",
			"assets/CompareDialog-Cypa74QA.css",
			"assets/CompareDialog-DJ9vgxy1.js",
			"assets/Completing-B5PNgde8.js",
			"assets/Credentials-CY2OtV0q.js",
			"assets/Credentials-Cirk6yvg.css",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-R520tjWb.js",
			"assets/FileView-DR3FLesS.js",
			"assets/FrameSteps-V1U7xolE.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GalleryPanel-dv_VGPDY.js",
			"assets/GeneratePage-CAHUQi3w.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-BZyvShbO.js",
			"assets/GetModelsDialog-CyNB_gcO.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-BlQXrdl9.js",
			"assets/HelpPanel-DGCR9GJZ.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-OliX97NG.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InspectorPanel-CYt3fTRl.js",
			"assets/InstallPack-rIaqj7Hz.js",
			"assets/LackingDialog-D-d-54Em.js",
			"assets/LessonHost-DKDqZVzg.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-Dr0I_VUJ.js",
			"assets/LineageView-BbQRG6ib.js",
			"assets/LineageView-C0_ReHPS.css",
			"assets/LivePlot-DBkFe0rr.js",
			"assets/LivePlotDialog-CN3vmloX.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-vwAQ5ze5.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MaskDialog-oaEnG36W.js",
			"assets/MergeDialog-C2CgIGQq.js",
			"assets/MissingDialog-DE35Okuc.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/ModelsPanel-F-FDe4hg.js",
			"assets/MoleculeView-OjaVCqr9.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-BsM2YjMI.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-BOEWjoAU.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OrganizeDialog-CLH284Lr.js",
			"assets/PackPanel-B6LpNo1K.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-BDv3B4F1.js",
			"assets/PaintingView-C_5lW5fm.js",
			"assets/PaintingView-Dq2qeRmR.css",
			"assets/PalettePanel-CAv5JqZF.js",
			"assets/PalettePanel-DBimQNMY.css",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/ParametersPanel-DkQ-O1KD.js",
			"assets/PlotFile-CyTsvCqJ.js",
			"assets/PlotView-Ct7-DUZQ.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-BXiNV6lv.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-FE5U1ipc.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-DESZfQS-.js",
			"assets/QueuePanel-BLa_deJy.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-BhApwFaQ.js",
			"assets/RowsDialog-Bi1c2831.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-C8VHK52q.js",
			"assets/Section-CVC9x8_W.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-Czhm8i2V.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-NojsRuMR.js",
			"assets/ShapeView-CP7HlkEB.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-BX3m1ZEw.js",
			"assets/ShortcutsDialog-2KZdLro-.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/SmallPlot-itM4bWiY.js",
			"assets/SoundPlayer-Ca9zX9Ji.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-CkOhot23.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-BhlJ4hWZ.js",
			"assets/Stars-Bya5qWik.css",
			"assets/SweepDialog-C11tB6n8.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-BP6ACmrk.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-_2kKg7aS.js",
			"assets/TranslatedDialog-BVxcxjrw.js",
			"assets/VideoPlayer-BqlLYktb.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-C8OInunm.js",
			"assets/Viewer-CbwlZl-c.css",
			"assets/actions-DRS3BsOf.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/conflict-BYmSsKs0.js",
			"assets/de-D07tKtbp.js",
			"assets/de-D2HBNeSP.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-Drvdxyjj.js",
			"assets/drawing-BqigXpf1.js",
			"assets/ellipsis-vertical-HIZJEgAx.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-C9TNiYXo.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-C96QjH3x.js",
			"assets/es-DL0p43Ld.js",
			"assets/exportSvg-DbcC7fzv.js",
			"assets/exporting-DEaXUwhJ.js",
			"assets/eye-off-DqFjQmJE.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-BC00nfrJ.js",
			"assets/frames-9-t4BzGI.js",
			"assets/graph-BC8NqqLt.js",
			"assets/graph-BfG5ucxa.css",
			"assets/grid-CsfmY-tI.js",
			"assets/grid-D6o0jDOC.js",
			"assets/icons-C7mpDlYV.js",
			"assets/importing-D_FeQ7X2.js",
			"assets/index-CXrRIDcj.js",
			"assets/index-DhI5Dgg2.css",
			"assets/install-CQLO-Wr2.js",
			"assets/ja-BzFNYgkh.js",
			"assets/ja-C9jnq-Um.js",
			"assets/kit-C71rNCQa.css",
			"assets/kit-DcgLv654.js",
			"assets/layerActions-DV-HVJws.js",
			"assets/lessons-BQ5X55C5.js",
			"assets/modelOffers-C9azfAJy.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-CO7JNf2e.js",
			"assets/palette-DId1GuJu.js",
			"assets/pictures-B0N_A5CL.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-DYvS8OyK.js",
			"assets/resolve-ChFCYfB1.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-BvDGaGz9.js",
			"assets/saving-B7m14FIj.js",
			"assets/share-M6pzqBio.js",
			"assets/shared-B4-Y0JCD.js",
			"assets/shared-BKU38BBS.css",
			"assets/sides-Csf4B7b0.js",
			"assets/start-BA0c94Ie.js",
			"assets/starting-_jj7RilA.js",
			"assets/states-DXvwJHW_.js",
			"assets/taking-uW6Q4js8.js",
			"assets/typeTexts-D0b16zOI.js",
			"assets/useAnswer-DER0Bd26.js",
			"assets/useConnection-D_OIMbQj.js",
			"assets/useFile-CPCwyZmP.js",
			"assets/useZoom-DjOk6NwT.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-BlH5cHBN.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-lDn81Nym.js",
			"assets/zh-Hans-B-0rpXcw.js",
			"assets/zh-Hans-DYwZpYGL.js"
		]
	});
})();
